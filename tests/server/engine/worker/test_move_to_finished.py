"""What finishes a job: the arguments of BullMQ's script are those that bullmq's own packer makes."""

from __future__ import annotations

import json
import typing as t
from types import SimpleNamespace

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextmq_server.engine.queues.job import EngineJob
from nextmq_server.engine.queues.snapshots import result_of
from nextmq_server.engine.scripts.limiter import NEVER_LIMITS
from nextmq_server.engine.scripts.scripts import QueueScripts, ScriptRunner
from nextmq_server.engine.worker.move_to_finished import Finishing
from nextmq_server.engine.worker.options import RunnerOptions
from nextmq_server.redis.keys import ProjectKeys

AT = 1_790_000_000_000
unpack: t.Callable[[bytes], t.Any] = t.cast("t.Any", msgpack).unpackb


KEEPS = st.one_of(
    st.none(),
    st.booleans(),
    st.just("yes"),  # any client may have written it
    st.integers(-1, 10_000),
    st.fixed_dictionaries({}, optional={name: st.integers(0, 99) for name in ("age", "count", "limit")}),
)
POLICIES = ("failParentOnFailure", "continueParentOnFailure", "ignoreDependencyOnFailure")
OPTIONS = st.fixed_dictionaries(
    {}, optional={"attempts": st.integers(0, 9), **dict.fromkeys(POLICIES, st.booleans())}
)
WORKERS = st.builds(
    RunnerOptions,
    limiter=st.none() | st.just({"max": 5, "duration": 1000}),
    lock_duration=st.integers(1, 60_000),
)
CHANGES = st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3)


@given(
    options=OPTIONS, worker=WORKERS, keep=KEEPS, changes=CHANGES, made=st.integers(0, 9), fetch_next=st.booleans()
)
@pytest.mark.parametrize("state", ["completed", "failed"])
def test_the_arguments_are_those_of_bullmqs_packer(
    state: t.Literal["completed", "failed"],
    options: dict[str, t.Any],
    worker: RunnerOptions,
    keep: t.Any,
    changes: dict[str, str],
    made: int,
    fetch_next: bool,
) -> None:
    scripts = QueueScripts(ScriptRunner(t.cast("t.Any", None), ProjectKeys("shop")), "emails", "bull")
    name = "removeOnComplete" if state == "completed" else "removeOnFail"
    job = EngineJob("42", {"opts": json.dumps({**options, name: keep}), "atm": str(made)}, "token")
    packed = SimpleNamespace(
        id=job.id,
        opts=job.opts,
        attempts=job.attempts,
        attemptsMade=made,
        queue=SimpleNamespace(opts=worker.for_scripts()),
    )
    if state == "completed":
        given_call = scripts.pack.moveToFinishedArgs(
            packed, [1, "ä"], "returnvalue", keep, state, "token", fetch_next, changes
        )
    else:
        given_call = scripts.pack.moveToFailedArgs(packed, "Error: no", keep, "token", fetch_next, changes)
    result = result_of(job, state, AT, return_value=[1, "ä"], reason="Error: no")
    finishing = Finishing(scripts, lambda: worker)
    keys, args = finishing.call(job, result, changes, fetch_next=fetch_next)
    assert _seen(keys, args[:-2]) == _seen(*given_call)


@pytest.mark.parametrize(
    ("limiter", "packed", "flag"), [(None, None, "1"), ({"max": 5, "duration": 9}, {"max": 5, "duration": 9}, "")]
)
def test_the_limiter_that_never_limits_is_a_flag(
    limiter: dict[str, int] | None, packed: dict[str, int] | None, flag: str
) -> None:
    scripts = QueueScripts(ScriptRunner(t.cast("t.Any", None), ProjectKeys("shop")), "emails", "bull")
    job = EngineJob("42", {}, "token")
    finishing = Finishing(scripts, lambda: RunnerOptions(limiter=limiter))
    _, args = finishing.call(job, result_of(job, "completed", AT), {}, fetch_next=True)
    assert (unpack(args[7])["limiter"], args[9]) == (packed, flag)


def _seen(keys: list[str], args: list[t.Any]) -> object:
    """Return the call with its options unpacked, without those that are false for Lua, the time and the server."""
    job_id, _, *texts, packed, changes = args if len(args) == 9 else [*args, ""]
    left_out = (None, False, NEVER_LIMITS)
    opts = {name: value for name, value in unpack(packed).items() if value not in left_out and name != "name"}
    return keys, job_id, texts, opts, unpack(changes) if changes else None
