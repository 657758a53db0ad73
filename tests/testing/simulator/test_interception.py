"""Every call of the SDK goes to the LocalNextMQ in force, and to nothing of it afterwards."""

from __future__ import annotations

import asyncio
import threading
import typing as t

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from nextmq_handler import (
    AsyncFlowProducer,
    AsyncQueue,
    ConfigurationError,
    FlowProducer,
    NextMQ,
    NextMQError,
    Queue,
    Worker,
    _overrides,
    create_nextmq_handler,
    ensure_workers_registered,
)
from nextmq_handler.testing import AsyncLocalNextMQ, LocalNextMQ, NotSimulatedError
from tests.support.handler import URL

MADE_BEFORE = Queue("emails")
MADE_BEFORE_WITH_URL = Queue("emails", url=URL)


@pytest.fixture(autouse=True)
def no_connection_string(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NEXTMQ_URL", raising=False)


@pytest.fixture(params=["asyncio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def echo(job: t.Any) -> t.Any:
    return job.data


async def aecho(job: t.Any) -> t.Any:
    await asyncio.sleep(0)
    return job.data


def test_a_queue_enqueues_however_it_was_made() -> None:
    with LocalNextMQ() as mq:
        MADE_BEFORE.add("global")
        MADE_BEFORE_WITH_URL.add("with url")
        NextMQ(URL).queue("emails").add("of a project")
        FlowProducer().add({"name": "flow", "queue_name": "emails"})
        asyncio.run(_add_awaited())
        thread = threading.Thread(target=lambda: Queue("emails").add("thread"))
        thread.start()
        thread.join()
        added = [job.name for job in mq.jobs("emails")]
    assert added == ["global", "with url", "of a project", "flow", "awaited", "awaited flow", "thread"]


async def _add_awaited() -> None:
    await AsyncQueue("emails").add("awaited")
    await AsyncFlowProducer().add({"name": "awaited flow", "queue_name": "emails"})


def test_an_app_under_test_enqueues_from_its_own_loop() -> None:
    app = FastAPI()

    @app.post("/signup")
    async def sign_up(email: str) -> str:
        return (await AsyncQueue("emails").add("welcome", {"to": email})).id

    with LocalNextMQ(workers=[Worker("emails", aecho)]) as mq, TestClient(app) as client:
        assert client.post("/signup", params={"email": "ada@example.com"}).json() == "1"
        mq.run_all()
        assert mq.job("emails", "welcome").return_value == {"to": "ada@example.com"}


def test_an_app_that_registers_when_it_starts_needs_no_settings() -> None:
    emails = Worker("emails", aecho)
    nextmq = create_nextmq_handler(workers=[emails])
    app = FastAPI(lifespan=nextmq.lifespan)
    app.mount("/api/nextmq", nextmq)
    with LocalNextMQ(workers=[emails]), TestClient(app) as client:
        assert client.get("/api/nextmq/health").json() == {"status": "ok"}
        ensure_workers_registered([emails])
    with pytest.raises(ConfigurationError, match="NEXTMQ_URL is not set"):
        ensure_workers_registered([emails])


def test_nothing_of_it_is_left_afterwards() -> None:
    before = _overrides.monotonic, _overrides.url
    with LocalNextMQ():
        MADE_BEFORE.add("inside")
    with pytest.raises(ConfigurationError, match="NEXTMQ_URL is not set"):
        MADE_BEFORE.add("outside")
    assert _overrides.server is None
    assert (_overrides.monotonic, _overrides.url) == before


def test_nothing_of_it_is_left_after_a_failure() -> None:
    with pytest.raises(ZeroDivisionError), LocalNextMQ():
        _ = 1 / 0
    assert _overrides.server is None


def test_a_second_one_inside_the_first_is_refused_and_the_first_goes_on() -> None:
    with LocalNextMQ() as mq:
        with pytest.raises(NextMQError, match="active already"), LocalNextMQ():
            pass
        Queue("emails").add("welcome")
        assert mq.job().name == "welcome"


def test_start_and_stop_do_what_with_does() -> None:
    mq = LocalNextMQ()
    mq.start()
    Queue("emails").add("welcome")
    mq.stop()
    mq.stop()
    assert mq.job().name == "welcome"
    assert _overrides.server is None


@pytest.mark.anyio
@pytest.mark.parametrize("processor", [echo, aecho])
async def test_a_test_with_a_loop_runs_jobs_by_awaiting(processor: t.Callable[[t.Any], t.Any]) -> None:
    async with AsyncLocalNextMQ(workers=[Worker("emails", processor)]) as mq:
        await AsyncQueue("emails").add("now", 1)
        await AsyncQueue("emails").add("soon", 2, delay=1000)
        later = await AsyncQueue("emails").add("later", 3, delay=5000)
        assert [await mq.run_all(), await mq.advance(1)] == [1, 1]
        assert await later.wait_until_finished(10) == 3
        assert await mq.run_until_idle() == 0
        assert [job.return_value for job in mq.jobs()] == [1, 2, 3]


@pytest.mark.anyio
async def test_an_async_processor_runs_on_the_loop_of_the_test() -> None:
    loops: list[object] = []

    async def processor(job: t.Any) -> None:
        loops.append(asyncio.get_running_loop())

    async with AsyncLocalNextMQ(workers=[Worker("emails", processor)]) as mq:
        await AsyncQueue("emails").add("welcome")
        await mq.run_all()
    assert loops == [asyncio.get_running_loop()]


def test_a_processor_that_waits_for_a_job_of_another_queue_runs_it() -> None:
    async def parent(job: t.Any) -> t.Any:
        return await (await AsyncQueue("pages").add("page", "A")).wait_until_finished(5)

    workers = [Worker("books", parent), Worker("pages", echo)]
    with LocalNextMQ(workers=workers) as mq:
        Queue("books").add("book")
        mq.run_all()
        assert mq.job("books").return_value == "A"


def test_a_call_with_an_idempotency_key_is_done_once() -> None:
    with LocalNextMQ() as mq:
        first = Queue("emails").add("welcome", idempotency_key="k")
        assert Queue("emails").add("welcome", idempotency_key="k").id == first.id
        assert len(mq.jobs()) == 1


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("Queue.get_metrics", lambda: Queue("emails").get_metrics("completed")),
        ("Queue.trim_events", lambda: Queue("emails").trim_events(1)),
        ("triggers", lambda: NextMQ().triggers.all()),
    ],
)
def test_what_is_not_simulated_fails_by_name(name: str, call: t.Callable[[], object]) -> None:
    with LocalNextMQ(), pytest.raises(NotSimulatedError, match=f"does not simulate {name} "):
        call()


def test_an_event_loop_that_is_not_asyncios_is_refused() -> None:
    mq = AsyncLocalNextMQ(workers=[Worker("emails", echo)])
    mq.start()
    Queue("emails").add("welcome")
    with pytest.raises(NextMQError, match='let the fixture anyio_backend return "asyncio"'):
        mq.run_all().send(None)
    mq.stop()
