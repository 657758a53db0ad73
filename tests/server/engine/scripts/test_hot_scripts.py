"""The scripts that every job runs: functions of Redis where it has them, scripts where it has not."""

from __future__ import annotations

import typing as t

import pytest

from nextmq_server.engine.worker.hub import Hub
from nextmq_server.engine.worker.options import RunnerOptions
from nextmq_server.redis.address import Address

if t.TYPE_CHECKING:
    from ...conftest import Engine, Processor, WaitUntil

pytestmark = pytest.mark.anyio


async def calls(engine: Engine, command: str) -> int:
    """How often Redis has carried out `command`, ever."""
    stats: str = await engine.redis.execute("INFO", "commandstats")
    lines = dict(line.split(":", 1) for line in stats.splitlines() if ":" in line)
    return int(lines.get(f"cmdstat_{command}", "calls=0,").partition("calls=")[2].partition(",")[0])


async def test_a_job_is_fetched_and_finished_by_functions(engine: Engine, processor: type[Processor]) -> None:
    before = await calls(engine, "fcall")
    await engine.run(processor())
    await engine.until_state(await engine.add(), "completed")
    assert await calls(engine, "fcall") >= before + 2


async def test_functions_that_redis_forgot_are_loaded_again(engine: Engine, processor: type[Processor]) -> None:
    process = processor()
    process.gate.clear()
    await engine.run(process)
    job_id = await engine.add()
    await engine.until_state(job_id, "active")
    await engine.redis.execute("FUNCTION", "FLUSH", "SYNC")
    process.gate.set()
    await engine.until_state(job_id, "completed")


@pytest.mark.parametrize("forbidden", ["function", "fcall"])
async def test_without_the_right_to_functions_they_are_scripts(
    engine: Engine, processor: type[Processor], forbidden: str
) -> None:
    user = f"{engine.prefix}-no-{forbidden}"
    await engine.redis.execute("ACL", "SETUSER", user, "on", ">secret", "~*", "&*", "+@all", f"-{forbidden}")
    before = await calls(engine, "fcall")
    place = engine.address.places[0].path
    hub = Hub(
        Address(f"unix://{user}:secret@{place}"), engine.keys, prefix=engine.prefix, instance_id=user, alone=False
    )
    await hub.start()
    await hub.add("emails", RunnerOptions(), processor())
    await engine.until_state(await engine.add(), "completed")
    await hub.stop(grace=0)
    await engine.redis.execute("ACL", "DELUSER", user)
    assert await calls(engine, "fcall") == before


async def test_nothing_is_counted_for_a_worker_without_a_limiter(
    engine: Engine, processor: type[Processor]
) -> None:
    await engine.run(processor())
    await engine.until_state(await engine.add(), "completed")
    assert not await engine.redis.execute("EXISTS", engine.key("limiter"))


async def test_a_worker_without_a_limiter_hears_of_a_rate_limit_when_it_finishes_a_job(
    engine: Engine, processor: type[Processor], wait_until: WaitUntil
) -> None:
    process = processor()
    process.gate.clear()
    hub = await engine.run(process)
    await engine.add()
    await engine.add()
    await wait_until(lambda: len(process.started) == 1)
    await engine.redis.execute("SET", engine.key("limiter"), 2**53 - 1, "PX", 60_000)
    process.gate.set()
    await wait_until(lambda: process.running == 0)
    await engine.settle(hub)
    assert len(process.started) == 1
