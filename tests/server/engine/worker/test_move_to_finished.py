"""What finishes a job: the arguments of BullMQ's script are those that bullmq's own packer makes."""

from __future__ import annotations

import json
import typing as t
from dataclasses import dataclass

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextmq_server.engine.queues.job import EngineJob
from nextmq_server.engine.scripts.limiter import NEVER_LIMITS
from nextmq_server.engine.scripts.scripts import QueueScripts, ScriptRunner
from nextmq_server.engine.worker.move_to_finished import Ending, Finishing
from nextmq_server.engine.worker.options import RunnerOptions

AT = 1_790_000_000_000
unpack: t.Callable[[bytes], t.Any] = t.cast("t.Any", msgpack).unpackb


@dataclass
class Queue:
    worker: RunnerOptions

    @property
    def opts(self) -> dict[str, t.Any]:
        return self.worker.for_scripts(None)


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
    scripts = QueueScripts(ScriptRunner(t.cast("t.Any", None)), "emails", "bull")
    job = EngineJob(Queue(worker), "42", {"opts": json.dumps(options), "atm": str(made)}, "token")
    if state == "completed":
        given_call = scripts.pack.moveToFinishedArgs(
            job, [1, "ä"], "returnvalue", keep, state, "token", fetch_next, changes
        )
    else:
        given_call = scripts.pack.moveToFailedArgs(job, "Error: no", keep, "token", fetch_next, changes)
    result = json.dumps([1, "ä"], separators=(",", ":")) if state == "completed" else "Error: no"
    keys, args = Finishing(scripts).call(job, Ending(state, result, keep, AT), changes, fetch_next=fetch_next)
    assert _seen(keys, args[:-1]) == _seen(*given_call)


@pytest.mark.parametrize(
    ("limiter", "packed", "flag"), [(None, None, "1"), ({"max": 5, "duration": 9}, {"max": 5, "duration": 9}, "")]
)
def test_the_limiter_that_never_limits_is_a_flag(
    limiter: dict[str, int] | None, packed: dict[str, int] | None, flag: str
) -> None:
    scripts = QueueScripts(ScriptRunner(t.cast("t.Any", None)), "emails", "bull")
    job = EngineJob(Queue(RunnerOptions(limiter=limiter)), "42", {}, "token")
    _, args = Finishing(scripts).call(job, Ending("completed", "1", None, AT), {}, fetch_next=True)
    assert (unpack(args[7])["limiter"], args[9]) == (packed, flag)


def _seen(keys: list[str], args: list[t.Any]) -> object:
    """Return the call with its options unpacked, without those that are false for Lua and without the time."""
    job_id, _, *texts, packed, changes = args if len(args) == 9 else [*args, ""]
    opts = {name: value for name, value in unpack(packed).items() if value not in (None, False, NEVER_LIMITS)}
    return keys, job_id, texts, opts, unpack(changes) if changes else None
