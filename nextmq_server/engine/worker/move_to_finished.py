"""Finish a job. The same step keeps its snapshot and adds its dead letter, if it has them."""

from __future__ import annotations

import typing as t

from nextmq_handler.protocol.strict_json import compact
from nextmq_handler.rules.results import RESULT_LIFE, JobResult, may_vanish
from nextmq_handler.rules.states import FAILURE_POLICIES

from ..queues.adding import JobToAdd
from ..queues.job import EngineJob
from ..queues.snapshots import snapshot_key
from ..scripts.fetching import fetch_unless_held
from ..scripts.functions import HotScript
from ..scripts.limiter import hear_of_limits, limiter_of
from ..scripts.scripts import QueueScripts, flat, pack
from ..scripts.tokens import server_of
from .options import RunnerOptions

_KEYS = ("wait", "active", "prioritized", "events", "stalled", "limiter", "delayed", "paused", "meta", "pc")
_RESULT = {"completed": "returnvalue", "failed": "failedReason"}
_KEEP = {"completed": "removeOnComplete", "failed": "removeOnFail"}
_POLICIES = dict(zip(FAILURE_POLICIES, ("fpof", "cpof", "idof", "rdof"), strict=True))

# KEYS: the 14 of moveToFinished, the hold; with a snapshot or a dead letter the snapshot; with a dead letter the 9
# of addStandardJob. ARGV: the 9 of moveToFinished, "1" if the worker has no limiter, the lock token of the next
# job; with a snapshot or a dead letter the snapshot or "" and its life in ms; with a dead letter those of
# addStandardJob. BullMQ would lock the next job with the token of this one.
FINISH = HotScript(
    "nextmqFinish",
    ["moveToFinished", "addStandardJob"],
    hear_of_limits(opts=8, flag=10)
    + fetch_unless_held("moveToFinished", flag=6, hold=15)
    + """
if type(answer) == 'table' and type(answer[1]) == 'table' then
  redis.call('SET', ARGV[7] .. answer[2] .. ':lock', ARGV[11], 'KEEPTTL')
end
if not KEYS[16] or type(answer) == 'number' and answer < 0 then return answer end
if ARGV[12] ~= '' then redis.call('SET', KEYS[16], ARGV[12], 'PX', ARGV[13]) end
if KEYS[17] then addStandardJob({unpack(KEYS, 17)}, {unpack(ARGV, 14)}) end
return answer
""",
    needs_memory=False,
)


class Finishing:
    """Calls BullMQ's moveToFinished for the jobs of one queue. `options` returns those of the moment.

    Every job comes through here. It packs the arguments as bullmq's packer does, in a third of the time, without
    options that are false for Lua anyway.
    """

    def __init__(self, scripts: QueueScripts, options: t.Callable[[], RunnerOptions]) -> None:
        self._scripts = scripts
        self._options = options
        self._keys = scripts.all_keys(*_KEYS)
        self._hold = scripts.own_key("hold")
        self._metrics = {state: scripts.key("metrics", state) for state in _RESULT}

    def call(
        self, job: EngineJob, result: JobResult, changes: dict[str, str], *, fetch_next: bool
    ) -> tuple[list[str], list[t.Any]]:
        """Return keys and arguments of the script. `changes` are fields of the job's hash that it sets too."""
        scripts, state = self._scripts, result["state"]
        own = scripts.keys[state], scripts.key(job.id), self._metrics[state], scripts.keys["marker"]
        keys = [*self._keys, *own]
        worker = self._options().for_scripts()
        limiter, is_free = limiter_of(worker)
        packed = pack(
            {
                "token": job.token,
                "name": server_of(job.token),
                "keepJobs": _kept(job.opts.get(_KEEP[state])),
                "limiter": limiter,
                "lockDuration": worker["lockDuration"],
                "attempts": job.attempts,
                "attemptsMade": job.attempts_made,
                "maxMetricsSize": worker["metrics"]["maxDataPoints"],
                **{short: True for name, short in _POLICIES.items() if job.opts.get(name)},
            }
        )
        return keys, [
            job.id,
            result["finishedOn"],
            _RESULT[state],
            compact(result["returnValue"]) if state == "completed" else result["failedReason"],
            state,
            "1" if fetch_next else "",
            scripts.keys[""],
            packed,
            pack(flat(changes)) if changes else "",
            is_free,
            job.next_token,
        ]

    async def finish(
        self,
        job: EngineJob,
        result: JobResult,
        changes: dict[str, str],
        *,
        fetch_next: bool,
        dead_letter: JobToAdd | None = None,
    ) -> t.Any:
        """Run the script and return the answer of moveToFinished. If that refuses, the script does nothing else.

        Raises RedisError or ConnectionLost.
        """
        keys, args = self.call(job, result, changes, fetch_next=fetch_next)
        keys.append(self._hold)
        snapshot = compact(result) if may_vanish(job.opts.get(_KEEP[result["state"]])) else ""
        if snapshot or dead_letter is not None:
            keys.append(snapshot_key(self._scripts, job.id))
            args += snapshot, RESULT_LIFE
        if dead_letter is not None:
            keys += dead_letter.call.keys
            args += dead_letter.call.args
        return await self._scripts.run(FINISH.name, keys, args)


def _kept(keep: t.Any) -> dict[str, t.Any]:
    """Return which finished jobs stay, as the script takes it: a count of -1 keeps all of them."""
    if isinstance(keep, dict):
        return t.cast("dict[str, t.Any]", keep)
    if isinstance(keep, int | float) and not isinstance(keep, bool):
        return {"count": keep}
    return {"count": 0 if keep else -1}
