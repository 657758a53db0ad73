"""Finish a job; in the same step keep its snapshot and add its dead letter, where it has them."""

from __future__ import annotations

import typing as t

from .adding import NewJob
from .scripts import QueueScripts, as_function
from .snapshots import SNAPSHOT_LIFE, snapshot_key

SCRIPT = "nextmqFinishJob"

_ARGUMENTS = 9
"""How many arguments moveToFinished has; the packers leave an empty last one out."""

# KEYS: the 14 of moveToFinished, the snapshot's, then those of addStandardJob where there is a letter.
# ARGV: the 9 of moveToFinished, the snapshot or "", its life in ms, then those of addStandardJob.
_LUA = (
    as_function("moveToFinished")
    + as_function("addStandardJob")
    + """
local finished = moveToFinished(KEYS, ARGV)
if type(finished) == 'number' and finished < 0 then return finished end
if ARGV[10] ~= '' then redis.call('SET', KEYS[15], ARGV[10], 'PX', ARGV[11]) end
if KEYS[16] then addStandardJob({unpack(KEYS, 16)}, {unpack(ARGV, 12)}) end
return finished
"""
)


async def finish(
    scripts: QueueScripts,
    job_id: str,
    keys: list[str],
    args: list[t.Any],
    *,
    snapshot: str | None = None,
    letter: NewJob | None = None,
) -> t.Any:
    """The answer of moveToFinished to `keys` and `args`. Where it refuses, nothing else is done.

    Raises RedisError or ConnectionLost.
    """
    if snapshot is None and letter is None:
        return await scripts.run("moveToFinished", keys, args)
    call = letter.call if letter else None
    padding = [""] * (_ARGUMENTS - len(args))
    return await scripts.run_composed(
        SCRIPT,
        _LUA,
        [*keys, snapshot_key(scripts, job_id), *(call.keys if call else ())],
        [*args, *padding, snapshot or "", SNAPSHOT_LIFE, *(call.args if call else ())],
    )
