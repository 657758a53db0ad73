"""Frozen time: a delivery and its answer tell the time of the test, in every integration."""

from __future__ import annotations

import ast
import typing as t
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from freezegun import freeze_time

from nextmq_handler import Job, MemoryReplayGuard, Worker, create_nextmq_wsgi_handler
from nextmq_handler.idempotency import MemoryStore, idempotent
from nextmq_handler.testing import LocalNextMQ, adeliver, deliver, make_async_job, make_job, run
from tests.support.handler import APP_URL, SECRET, URL

from .test_delivering import INTEGRATIONS

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[2]
TIMES = [
    datetime(1999, 12, 31, tzinfo=UTC),
    datetime(2024, 2, 29, 12, tzinfo=UTC),
    datetime(2035, 1, 1, tzinfo=UTC),
]
MAKERS = {"def": make_job, "async def": make_async_job}


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEXTMQ_URL", URL)
    monkeypatch.setenv("NEXTMQ_APP_URL", APP_URL)


@pytest.mark.parametrize("now", TIMES, ids=str)
@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("integration", INTEGRATIONS.values(), ids=INTEGRATIONS)
def test_a_delivery_is_accepted_in_frozen_time(
    integration: t.Callable[[], t.Any], name: str, now: datetime
) -> None:
    target = integration()
    with freeze_time(now):
        job: t.Any = MAKERS[name]({"n": 1}, name=name, queue_name="emails")
        assert deliver(target, job).outcome.value == 1


@pytest.mark.parametrize("integration", INTEGRATIONS.values(), ids=INTEGRATIONS)
def test_a_handler_that_was_made_in_frozen_time_is_accepted_after_it(integration: t.Callable[[], t.Any]) -> None:
    with freeze_time(TIMES[0]):
        target = integration()
    assert deliver(target, make_job({"n": 1}, name="def", queue_name="emails")).outcome.value == 1


async def test_an_awaited_delivery_is_accepted_in_frozen_time() -> None:
    target = INTEGRATIONS["ASGI handler"]()
    with freeze_time(TIMES[1], real_asyncio=True):
        answer = await adeliver(target, make_async_job({"n": 1}, name="async def", queue_name="emails"))
    assert answer.outcome.value == 1


def test_an_old_delivery_is_refused_by_the_frozen_clock() -> None:
    target = INTEGRATIONS["WSGI handler"]()
    with freeze_time(TIMES[1]) as frozen:
        sent = int(TIMES[1].timestamp())
        frozen.tick(301)
        assert deliver(target, make_job({"n": 1}, name="def", queue_name="emails"), timestamp=sent).status == 401


def test_a_replay_guard_forgets_by_the_frozen_clock() -> None:
    worker = Worker("emails", lambda job: None)
    target = create_nextmq_wsgi_handler([worker], webhook_secrets=SECRET, replay_guard=MemoryReplayGuard())
    with freeze_time(TIMES[1]) as frozen:
        job = make_job(None, queue_name="emails")
        statuses = [deliver(target, job).status, deliver(target, job).status]
        frozen.tick(602)
        statuses.append(deliver(target, job).status)
    assert statuses == [200, 409, 200]


def test_an_idempotent_result_is_kept_by_the_frozen_clock() -> None:
    runs: list[str] = []

    @idempotent(MemoryStore(), key=lambda job: "k", keep=timedelta(hours=1))
    def process(job: Job) -> None:
        runs.append(job.id)

    worker = Worker("emails", process)
    with freeze_time(TIMES[1]) as frozen:
        for _ in range(2):
            run(worker, make_job(None))
        frozen.tick(3601)
        run(worker, make_job(None))
    assert len(runs) == 2


def test_a_job_of_a_test_tells_the_frozen_time() -> None:
    with freeze_time(TIMES[1]):
        assert make_job(None).timestamp == TIMES[1].timestamp() * 1000


def test_a_simulation_begins_at_the_frozen_time() -> None:
    with freeze_time(TIMES[1]), LocalNextMQ(workers=[Worker("emails", lambda job: None)]) as mq:
        assert mq.clock.now == TIMES[1]


def bound_clocks(source: str) -> list[str]:
    """Return the clocks that a module binds when it is imported: as defaults, or under a name of its own."""
    found: list[str] = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Lambda():
                values = [*node.args.defaults, *node.args.kw_defaults]
            case ast.Assign() | ast.AnnAssign():
                values = [node.value]
            case ast.ImportFrom(module="time" | "_time"):
                found += [alias.name for alias in node.names]
                continue
            case _:
                continue
        found += [text for value in values if value is not None and (text := ast.unparse(value)) in CLOCKS]
    return found


CLOCKS = (
    *("time.time", "time.monotonic", "time.time_ns", "time.monotonic_ns", "time.perf_counter", "time.sleep"),
    *("datetime.now", "datetime.utcnow", "datetime.datetime.now", "date.today"),
)
MODULES = sorted(
    path for folder in ("nextmq_handler", "nextmq_server", "adapters") for path in (ROOT / folder).rglob("*.py")
)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_binds_no_clock_when_it_is_imported(path: Path) -> None:
    assert bound_clocks(path.read_text()) == []


@pytest.mark.parametrize(
    "source",
    [
        "def f(clock=time.time): ...",
        "async def f(*, clock: C = time.monotonic): ...",
        "now = time.time",
        "class A:\n    clock: C = time.monotonic",
        "f = lambda clock=time.time: 1",
        "from time import monotonic",
    ],
)
def test_a_bound_clock_is_found(source: str) -> None:
    assert len(bound_clocks(source)) == 1
