"""A Redis connection that breaks under the engine: nothing is lost, and nothing is done twice."""

from __future__ import annotations

import asyncio
import typing as t

import pytest

from nextmq_handler.protocol.outcomes import Completed
from nextmq_server.embedded import EmbeddedValkey
from nextmq_server.engine.verdicts import Verdict
from nextmq_server.engine.worker import upkeep
from nextmq_server.engine.worker.hub import Hub
from nextmq_server.engine.worker.options import RunnerOptions
from nextmq_server.redis import connection
from nextmq_server.redis.address import Address
from nextmq_server.redis.connection import ConnectionLost
from nextmq_server.tasks import end_tasks
from nextmq_server.workers import registry as registry_module
from nextmq_server.workers.registration import Registration
from nextmq_server.workers.registry import Registry

if t.TYPE_CHECKING:
    from ...conftest import Engine, Listen, Processor, WaitUntil

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "SWEEP_INTERVAL", 3600.0)
    monkeypatch.setattr(upkeep, "HEARTBEAT_LIFE", 3600.0)  # no regular look may find a job
    monkeypatch.setattr(connection, "MAX_RETRY_DELAY", 0.05)
    monkeypatch.setattr(registry_module, "POLL_INTERVAL", 0.02)


class Proxy:
    """Between a hub and Valkey. While `is_deaf`, commands arrive and their answers do not.

    While it `refuses`, new connections end at once.
    """

    def __init__(self, path: str) -> None:
        self.is_deaf = self.refuses = False
        self._path = path
        self._writers: list[asyncio.StreamWriter] = []

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refuses:
            return
        answers, commands = await asyncio.open_unix_connection(self._path)
        self._writers += [writer, commands]
        async with asyncio.TaskGroup() as group:
            group.create_task(self._pass_on(reader, commands, may_drop=False))
            group.create_task(self._pass_on(answers, writer, may_drop=True))

    def cut(self) -> None:
        """Break all connections."""
        for writer in self._writers:
            writer.close()
        self._writers.clear()

    async def _pass_on(
        self, source: asyncio.StreamReader, target: asyncio.StreamWriter, *, may_drop: bool
    ) -> None:
        while chunk := await source.read(65536):
            if not (may_drop and self.is_deaf):
                target.write(chunk)
        target.close()


@pytest.fixture
async def proxy(engine: Engine, listen: Listen) -> t.AsyncIterator[tuple[Proxy, Hub]]:
    """Give a hub without queues behind a proxy."""
    assert engine.address.places[0].path is not None
    proxy = Proxy(engine.address.places[0].path)
    port = await listen(proxy.handle)
    address = Address(f"redis://127.0.0.1:{port}")
    hub = Hub(address, engine.keys, prefix=engine.prefix, instance_id=f"proxied-{engine.prefix}", alone=False)
    await hub.start()
    yield proxy, hub
    await hub.stop(grace=0)
    proxy.cut()


async def cut_connections(engine: Engine) -> None:
    """Make Valkey close every connection of the hubs."""
    clients: str = await engine.redis.execute("CLIENT", "LIST")
    for line in clients.splitlines():
        if " name=nextmq-" in line:
            await engine.redis.execute("CLIENT", "KILL", "ID", line.split()[0].removeprefix("id="))


async def is_connected(engine: Engine) -> bool:
    """Whether a hub and its watcher are connected."""
    clients: str = await engine.redis.execute("CLIENT", "LIST")
    return clients.count(" name=nextmq-") == 2


async def test_a_job_that_runs_while_the_connection_breaks_is_finished(
    engine: Engine, processor: type[Processor], wait_until: WaitUntil
) -> None:
    process = processor(Completed("done"))
    process.gate.clear()
    await engine.run(process)
    job_id = await engine.add()
    await wait_until(lambda: process.running)
    await cut_connections(engine)
    process.gate.set()
    assert (await engine.until_state(job_id, "completed"))["returnValue"] == "done"


async def test_a_job_that_runs_while_the_connection_breaks_is_delivered_once(
    engine: Engine, processor: type[Processor], wait_until: WaitUntil
) -> None:
    process = processor()
    process.gate.clear()
    await engine.run(process)
    job_id = await engine.add()
    await wait_until(lambda: process.running)
    await cut_connections(engine)
    process.gate.set()
    await engine.until_state(job_id, "completed")
    assert len(process.started) == 1


async def test_a_job_that_runs_while_redis_restarts_is_finished(
    own_engine: Engine, own_valkey: EmbeddedValkey, processor: type[Processor], wait_until: WaitUntil
) -> None:
    process = processor(Completed("done"))
    process.gate.clear()
    await own_engine.run(process)
    job_id = await own_engine.add()
    await wait_until(lambda: process.running)
    own_valkey.stop()
    process.gate.set()
    with pytest.raises(ConnectionLost):
        await own_engine.redis.execute("PING")
    own_valkey.start()
    await own_engine.redis.ready()
    assert (await own_engine.until_state(job_id, "completed"))["returnValue"] == "done"


async def test_a_job_added_after_the_connection_broke_is_picked_up(
    engine: Engine, processor: type[Processor], wait_until: WaitUntil
) -> None:
    hub = await engine.run(processor())
    await wait_until(lambda: hub.queues["emails"].is_cold)
    await cut_connections(engine)
    assert await engine.until_state(await engine.add(), "completed")


async def test_jobs_complete_while_connections_break_again_and_again(
    engine: Engine, processor: type[Processor], wait_until: WaitUntil
) -> None:
    await engine.run(processor(), concurrency=5, max_stalled_count=100)
    for _ in range(10):
        for _ in range(20):
            await engine.add()
        await wait_until(lambda: is_connected(engine))
        await cut_connections(engine)

    async def all_have_completed() -> bool:
        return (await engine.queues.counts("emails"))["completed"] == 200

    await wait_until(all_have_completed)
    assert await all_have_completed()


async def test_a_verdict_whose_answer_was_lost_is_carried_out_once(
    engine: Engine, proxy: tuple[Proxy, Hub], processor: type[Processor], wait_until: WaitUntil
) -> None:
    between, hub = proxy
    process = processor()
    process.gate.clear()
    await hub.add("emails", RunnerOptions(), process)
    job_id = await engine.add()
    await wait_until(lambda: process.running)
    between.is_deaf = True
    process.gate.set()
    await engine.until_state(job_id, "completed")
    between.cut()
    between.is_deaf = False
    await wait_until(lambda: not hub.queues["emails"].active)
    assert (await engine.job(job_id))["attemptsMade"] == 1


async def test_a_queue_goes_on_after_the_answer_to_a_verdict_was_lost(
    engine: Engine, proxy: tuple[Proxy, Hub], processor: type[Processor], wait_until: WaitUntil
) -> None:
    between, hub = proxy
    process = processor()
    process.gate.clear()
    await hub.add("emails", RunnerOptions(), process)
    job_id = await engine.add()
    await wait_until(lambda: process.running)
    between.is_deaf = True
    process.gate.set()
    await engine.until_state(job_id, "completed")
    between.cut()
    between.is_deaf = False
    assert await engine.until_state(await engine.add(), "completed")


async def test_a_job_whose_fetch_was_lost_runs_after_all(
    engine: Engine, proxy: tuple[Proxy, Hub], processor: type[Processor], wait_until: WaitUntil
) -> None:
    between, hub = proxy
    await hub.add("emails", RunnerOptions(concurrency=2), processor())
    await wait_until(lambda: hub.queues["emails"].is_cold)
    between.is_deaf = True
    job_id = await engine.add()
    hub.queues["emails"].poke()
    await engine.until_state(job_id, "active")
    between.cut()
    between.is_deaf = False
    assert await engine.until_state(job_id, "completed")


async def test_a_job_whose_fetch_was_lost_runs_at_once_though_its_lock_has_ended(
    engine: Engine,
    proxy: tuple[Proxy, Hub],
    processor: type[Processor],
    wait_until: WaitUntil,
) -> None:
    between, hub = proxy
    await hub.add("emails", RunnerOptions(concurrency=2, lock_duration=50), processor())
    await wait_until(lambda: hub.queues["emails"].is_cold)
    between.is_deaf = True
    job_id = await engine.add()
    hub.queues["emails"].poke()
    await engine.until_state(job_id, "active")

    async def has_no_lock() -> bool:
        return not await engine.redis.execute("EXISTS", engine.key(job_id, "lock"))

    await wait_until(has_no_lock)
    between.cut()
    between.is_deaf = False
    assert await engine.until_state(job_id, "completed")


async def test_the_heartbeat_goes_on_after_redis_was_gone(
    own_engine: Engine, own_valkey: EmbeddedValkey, wait_until: WaitUntil, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "HEARTBEAT_LIFE", 0.5)
    failures: list[ConnectionLost] = []
    beat = upkeep.Instance.beat

    async def watched(instance: upkeep.Instance) -> None:
        try:
            await beat(instance)
        except ConnectionLost as exc:
            failures.append(exc)
            raise

    monkeypatch.setattr(upkeep.Instance, "beat", watched)
    await own_engine.start_hub(instance_id="beating")
    own_valkey.stop()
    await wait_until(lambda: failures)
    own_valkey.start()
    await own_engine.redis.ready()
    await own_engine.redis.execute("DEL", own_engine.keys("instance", "beating"))

    async def beats() -> bool:
        return bool(await own_engine.redis.execute("EXISTS", own_engine.keys("instance", "beating")))

    await wait_until(beats)
    assert await beats()


async def test_a_connection_lost_before_the_delivery_uses_no_attempt(engine: Engine) -> None:
    seen: list[tuple[int, int]] = []

    async def process(job: t.Any) -> Verdict:
        seen.append((job.attempts_made, job.attempts_started))
        if len(seen) == 1:
            raise ConnectionLost("closed")
        return Completed(None)

    await engine.run(t.cast("t.Any", process))
    await engine.until_state(await engine.add(), "completed")
    assert seen == [(0, 1), (0, 1)]


async def test_a_server_can_be_stopped_while_redis_is_gone(
    own_engine: Engine, own_valkey: EmbeddedValkey, processor: type[Processor], wait_until: WaitUntil
) -> None:
    hub = await own_engine.run(processor())
    await wait_until(lambda: hub.queues["emails"].is_cold)
    own_valkey.stop()
    await own_engine.stop_hub(hub, grace=0)
    assert hub.queues["emails"].active == {}


async def test_a_job_that_cannot_be_handed_back_is_an_error_line(
    own_engine: Engine,
    own_valkey: EmbeddedValkey,
    processor: type[Processor],
    wait_until: WaitUntil,
    caplog: pytest.LogCaptureFixture,
) -> None:
    process = processor()
    process.gate.clear()
    hub = await own_engine.run(process)
    job_id = await own_engine.add()
    await wait_until(lambda: process.running)
    own_valkey.stop()
    await own_engine.stop_hub(hub, grace=0)
    lines = [record.getMessage() for record in caplog.records]
    assert f"queue emails job {job_id}: cannot finish it: not connected; it will stall" in lines


async def test_a_queue_that_is_added_while_no_connection_can_be_made_is_a_lost_connection(
    engine: Engine, proxy: tuple[Proxy, Hub], processor: type[Processor]
) -> None:
    between, hub = proxy
    between.refuses = True
    with pytest.raises(ConnectionLost, match="cannot reach Redis"):
        await hub.add("emails", RunnerOptions(), processor())
    between.refuses = False
    await hub.add("emails", RunnerOptions(), processor())
    assert await engine.until_state(await engine.add(), "completed")


async def test_a_registration_of_another_server_is_taken_over_without_a_traceback_once_there_is_a_connection(
    engine: Engine, proxy: tuple[Proxy, Hub], processor: type[Processor], wait_until: WaitUntil, caplog: t.Any
) -> None:
    between, hub = proxy
    between.refuses = True
    registry, other = (Registry(connection, engine.keys) for connection in (hub.connection, engine.redis))
    tries: list[str] = []

    async def apply(queue: str, _: Registration | None) -> None:
        tries.append(queue)
        await hub.add(queue, RunnerOptions(), processor())

    await registry.load()
    following = asyncio.create_task(registry.follow(apply))
    body = {"url": "https://app.example/emails", "options": {}, "secretIds": ["0a1b2c3d"], "fingerprint": "f"}
    await other.put("emails", Registration.model_validate(body), replace=True)
    await wait_until(lambda: tries)
    between.refuses = False
    await wait_until(lambda: "emails" in hub.queues)
    await end_tasks(following)
    assert not [record for record in caplog.records if record.exc_info]
