"""Jobs that any client of Redis may have written: each is run or fails with a reason, and none holds up others."""

from __future__ import annotations

import contextlib
import json
import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextmq_handler.protocol.outcomes import Failed
from nextmq_handler.protocol.wire import UnfitData, read_body
from nextmq_handler.rules.backoff import UnknownBackoff, backoff_delay
from nextmq_server.dispatch.dispatcher import AppEndpoint
from nextmq_server.engine.queues.job import EngineJob
from nextmq_server.engine.queues.jobs import view
from nextmq_server.engine.queues.snapshots import result_of
from nextmq_server.engine.scripts.scripts import QueueScripts, ScriptRunner
from nextmq_server.engine.worker.finalize import Finalizer
from nextmq_server.engine.worker.move_to_finished import Finishing
from nextmq_server.engine.worker.options import RunnerOptions
from nextmq_server.redis.keys import ProjectKeys
from tests.support.dispatching import delivery_body

if t.TYPE_CHECKING:
    from ...conftest import Engine, Processor, WaitUntil

FAILED = Failed("ValueError", "no")


async def add(engine: Engine, job_id: str, **fields: str | bytes) -> None:
    """Add a job as a client that checks nothing might do."""
    members = {"name": "welcome", "data": "{}", "opts": "{}", "timestamp": "1", **fields}
    flat = [text for member in members.items() for text in member]
    await engine.redis.execute("HSET", engine.key(job_id), *flat)
    await engine.redis.execute("LPUSH", engine.key("wait"), job_id)
    await engine.redis.execute("ZADD", engine.key("marker"), 0, "0")


KEEP = "not a boolean, a number of jobs, or an object with age and count"
BACKOFF = "not a number of ms, or an object with type and delay"
REASONS: dict[str, str] = {
    '{"attempts": "many"}': 'attempts is "many", not a number below 2^53',
    '{"attempts": 1e99}': "attempts is 1e+99, not a number below 2^53",
    '{"attempts": 3, "backoff": "slow"}': f'backoff is "slow", {BACKOFF}',
    '{"attempts": 3, "backoff": [1]}': f"backoff is [1], {BACKOFF}",
    '{"backoff": {"type": "fixed", "delay": "x"}}': f'backoff is {{"type": "fixed", "delay": "x"}}, {BACKOFF}',
    '{"backoff": {"type": 5}}': f'backoff is {{"type": 5}}, {BACKOFF}',
    '{"removeOnComplete": {"count": "x"}}': f'removeOnComplete is {{"count": "x"}}, {KEEP}',
    '{"removeOnFail": 1.5}': f"removeOnFail is 1.5, {KEEP}",
    '{"stackTraceLimit": "x"}': 'stackTraceLimit is "x", not a whole number',
    '{"attempts": [], "stackTraceLimit": []}': (
        "attempts is [], not a number below 2^53; stackTraceLimit is [], not a whole number"
    ),
    "[]": "its options are not a JSON object",
    "{": "its options are not a JSON object",
}


@pytest.mark.anyio
@pytest.mark.parametrize("opts", REASONS)
async def test_a_job_whose_options_cannot_be_carried_out_fails_and_says_which(
    engine: Engine, processor: type[Processor], opts: str
) -> None:
    process = processor()
    await engine.run(process)
    await add(engine, "foreign", opts=opts)
    job = await engine.until_state("foreign", "failed")
    assert (job["failedReason"], process.started) == (f"InvalidOptions: {REASONS[opts]}", [])


@pytest.mark.anyio
async def test_jobs_that_cannot_be_run_hold_up_no_others(engine: Engine, processor: type[Processor]) -> None:
    for number, opts in enumerate(REASONS):
        await add(engine, f"foreign{number}", opts=opts)
    job_id = await engine.add()
    await engine.run(processor(FAILED), concurrency=2)
    await engine.until_state(job_id, "failed")


@pytest.mark.anyio
async def test_a_bug_in_finishing_a_job_holds_up_no_others(
    engine: Engine, processor: type[Processor], wait_until: WaitUntil, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def break_down(*args: object, **options: object) -> t.NoReturn:
        monkeypatch.undo()
        raise ZeroDivisionError

    process = processor()
    monkeypatch.setattr(Finalizer, "apply", break_down)
    await engine.add()
    job_id = await engine.add()
    await engine.run(process, concurrency=2)  # the first one keeps its place until it counts as lost
    await engine.until_state(job_id, "completed")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
NAMES = (
    "attempts",
    "backoff",
    "removeOnComplete",
    "removeOnFail",
    "stackTraceLimit",
    "parent",
    "tm",
    "de",
    "repeat",
)
BACKOFFS = st.fixed_dictionaries(
    {}, optional={"type": st.sampled_from(["fixed", "exponential"]) | JSON, "delay": JSON, "jitter": JSON}
)
KEEPS = st.fixed_dictionaries({}, optional=dict.fromkeys(("age", "count", "limit"), JSON))
OPTIONS = st.fixed_dictionaries({}, optional=dict.fromkeys(NAMES, JSON | BACKOFFS | KEEPS))
FIELDS = st.fixed_dictionaries(
    {"opts": OPTIONS.map(json.dumps) | JSON.map(json.dumps) | st.text(max_size=9)},
    optional={
        **dict.fromkeys(("name", "data", "progress", "parent", "stacktrace", "defa"), st.text(max_size=9)),
        **dict.fromkeys(("progress", "parent", "stacktrace"), JSON.map(json.dumps)),
        **dict.fromkeys(
            ("atm", "ats", "stc", "priority", "delay", "timestamp", "processedOn"), st.text(max_size=9)
        ),
    },
)


def job_of(fields: dict[str, str]) -> EngineJob:
    return EngineJob("42", fields, "token")


@given(fields=FIELDS)
def test_whatever_a_job_holds_it_can_be_finished(fields: dict[str, str]) -> None:
    scripts = QueueScripts(ScriptRunner(t.cast("t.Any", None), ProjectKeys("shop")), "emails", "bull")
    job = job_of(fields)
    result = result_of(job, "failed", 1, reason="no", stacktrace=[])
    _, args = Finishing(scripts, RunnerOptions).call(job, result, {}, fetch_next=True)
    assert (args[0], job.is_last_attempt(FAILED)) == ("42", job.attempts_made + 1 >= job.attempts)


@given(fields=FIELDS)
def test_whatever_a_job_holds_its_backoff_is_a_time_or_not_known(fields: dict[str, str]) -> None:
    with contextlib.suppress(UnknownBackoff):
        assert backoff_delay(job_of(fields).opts.get("backoff"), 1) >= 0


@given(fields=FIELDS)
def test_whatever_a_job_holds_a_receiver_reads_its_own_id_and_name_or_its_data_is_unfit(
    fields: dict[str, str],
) -> None:
    endpoint = AppEndpoint("emails", "http://127.0.0.1/queues/emails", 1000, "")
    job = job_of(fields)
    with contextlib.suppress(UnfitData):
        received = read_body(delivery_body(endpoint, job, "dlv_1", now=1))["job"]
        assert (received["id"], received["name"]) == (job.id, job.name)


@given(fields=FIELDS)
def test_whatever_a_job_holds_it_can_be_looked_at(fields: dict[str, str]) -> None:
    seen = view("42", "waiting", [text for field in fields.items() for text in field])
    assert (seen["id"], type(seen["opts"]), type(seen["stacktrace"])) == ("42", dict, list)
