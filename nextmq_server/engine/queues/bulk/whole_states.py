"""Retry a whole state without looking at each job: BullMQ's script moves many at a time."""

from __future__ import annotations

import typing as t

from ...scripts.scripts import QueueScripts
from ..jobs import Jobs
from ..retrying import RETRY_MANY, retry_many_call
from .operations import FENCE, LOCK_LIFE, Operation

BATCH = 100
"""How many jobs are moved at a time: Redis does nothing else meanwhile."""

# KEYS: the operation, its lock; those of RETRY_MANY. ARGV: the token, LOCK_LIFE; those of RETRY_MANY. Returns how
# many jobs were moved, -1 if the operation is not ours any more.
_MOVE = (
    FENCE
    + f"local function move(KEYS, ARGV)\n{RETRY_MANY}\nend\n"
    + """
if not is_ours(KEYS[1], KEYS[2], ARGV[1]) then return -1 end
redis.call('PEXPIRE', KEYS[2], ARGV[2])
local before = redis.call('ZCARD', KEYS[5])
move({unpack(KEYS, 3)}, {unpack(ARGV, 3)})
local moved = before - redis.call('ZCARD', KEYS[5])
for _, name in ipairs({'matching', 'done', 'looked'}) do redis.call('HINCRBY', KEYS[1], name, moved) end
return moved
"""
)


async def retry_all(
    jobs: Jobs, operation: Operation, state: str, keys: t.Sequence[str], token: str
) -> t.AsyncIterator[bool]:
    """Retry all jobs that ended in `state` before the operation began, as the process with `token`.

    Yield after each step whether it still is the one that runs the operation. Raises RedisError or ConnectionLost.
    """
    scripts: QueueScripts = jobs.scripts(operation.queue)
    call_keys, call_args = retry_many_call(scripts, state, operation.created_at, BATCH)
    while True:
        moved = int(await scripts.run_composed(_MOVE, [*keys, *call_keys], [token, LOCK_LIFE, *call_args]))
        yield moved >= 0
        if moved < BATCH:
            return
