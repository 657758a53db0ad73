"""Let time pass for a hold: its times are those of Redis's clock, which a test cannot set."""

from __future__ import annotations

from nextmq_server.engine.scripts.scripts import QueueScripts

# KEYS: hold, failing, reached, suspects. ARGV: how many ms pass.
_AGE = """
local passed = tonumber(ARGV[1])
for _, field in ipairs({'since', 'until', 'untilOthers', 'startsUntil'}) do
  local at = redis.call('HGET', KEYS[1], field)
  if at then redis.call('HSET', KEYS[1], field, string.format('%.0f', at - passed)) end
end
for number, scale in pairs({[2] = 1, [3] = 1000}) do
  local at = redis.call('GET', KEYS[number])
  if at then redis.call('SET', KEYS[number], string.format('%.0f', at - passed * scale), 'KEEPTTL') end
end
local suspects = redis.call('ZRANGE', KEYS[4], 0, -1)
for _, job in ipairs(suspects) do redis.call('ZINCRBY', KEYS[4], string.format('%.0f', -passed * 1000), job) end
"""


async def let_pass(scripts: QueueScripts, seconds: float) -> None:
    """Make what Redis holds of the queue's endpoint `seconds` older."""
    keys = [scripts.own_key(name) for name in ("hold", "failing", "reached", "suspects")]
    await scripts.run_composed(_AGE, keys, [round(seconds * 1000)])
