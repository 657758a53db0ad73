"""Put back the jobs of servers that died, in one step, so that no job stays active without a lock.

Other jobs without a lock are left alone: their servers may be about to take them up again.
"""

from __future__ import annotations

import typing as t

from ..scripts.packers import packers
from ..scripts.scripts import QueueScripts, as_function, flat

# KEYS: the 9 of moveStalledJobsToWait. ARGV: the 4 of moveStalledJobsToWait; the id and the token of each job,
# "" for a job without a lock.
_LUA = (
    as_function("moveStalledJobsToWait")
    + """
local free = {}
for i = 5, #ARGV, 2 do
  local lock = ARGV[2] .. ARGV[i] .. ':lock'
  if (redis.call('GET', lock) or '') == ARGV[i + 1] then
    redis.call('DEL', lock)
    free[#free + 1] = ARGV[i]
  end
end
if #free == 0 then return {} end
redis.call('DEL', KEYS[1], KEYS[4])
for _, id in ipairs(free) do redis.call('SADD', KEYS[1], id) end
return moveStalledJobsToWait(KEYS, ARGV)
"""
)


async def put_back(
    scripts: QueueScripts, tokens: t.Mapping[str, str], *, max_stalled_count: int, interval: int
) -> list[str]:
    """Put back now, as stalled, the active jobs that are still locked by these `tokens`; "" stands for no lock.

    `tokens` has them by job id. Returns the ids of the jobs. `interval` is ms until the next check for jobs that
    stalled. Raises RedisError or ConnectionLost.
    """

    def run(keys: t.Sequence[str], args: t.Sequence[t.Any]) -> t.Awaitable[t.Any]:
        return scripts.run_composed(_LUA, keys, [*args, *flat(tokens)])

    packed = packers(scripts.prefix, scripts.queue, {"moveStalledJobsToWait": run})
    return t.cast("list[str]", await packed.moveStalledJobsToWait(max_stalled_count, interval))
