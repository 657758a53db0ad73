"""What Redis knows of a queue and a job that may be a reason not to run: read in one script, in bounded time."""

from __future__ import annotations

import typing as t

from nextmq_handler.protocol import strict_json
from nextmq_handler.rules.limits import UNLIMITED

from ..engine.queues.snapshots import snapshot_key
from ..engine.scripts.scripts import QueueScripts

SHOWN = 10
"""How many jobs that are in the way are named at most."""

MAX_CHILDREN = 1000
"""How many open children of a job are looked at: a failed or missing one beyond is not found."""

MAX_DUE = 100
"""How many delayed jobs that are due, and not moved yet, are compared by their priority."""

MAX_REASON = 300
"""How many bytes of a failure's reason are shown."""

# KEYS: what the queue's keys begin with, the hold, the suspects, when a delivery got through, the snapshot of the
# job. ARGV: the id of the job, or "" for the queue; what all BullMQ keys of the project begin with, and the
# heartbeats. Returns JSON. `find` is cheap: an id at the end of a list of 100,000 takes about 1 ms.
_READ = f"""
local prefix, hold, suspects, reached, snapshot = unpack(KEYS)
local id, root, instances = unpack(ARGV)
local call, clock = redis.call, redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local function find(list, job) return call('LPOS', prefix .. list, job, 'RANK', -1) end
local function read(key, ...)
  local found = {{}}
  for number, value in ipairs(call('HMGET', key, ...)) do found[select(number, ...)] = value or nil end
  return found
end
local function first_of(text) return text and text:sub(1, {MAX_REASON}) end

local facts = {{
  now = now,
  meta = read(prefix .. 'meta', 'paused', 'concurrency', 'max', 'duration'),
  hold = read(hold, 'kind', 'since', 'until', 'untilOthers', 'detail', 'starts', 'startsUntil', 'count', 'probe'),
  starts = call('GET', prefix .. 'limiter') or nil,
  limiterLeft = call('PTTL', prefix .. 'limiter'),
  wait = call('LLEN', prefix .. 'wait'), active = call('LLEN', prefix .. 'active'),
  paused = call('LLEN', prefix .. 'paused'), prioritized = call('ZCARD', prefix .. 'prioritized'),
  delayed = call('ZCARD', prefix .. 'delayed'),
  running = call('LRANGE', prefix .. 'active', -{SHOWN}, -1),
}}
if facts.hold.probe then facts.isProbing = call('EXISTS', prefix .. facts.hold.probe .. ':lock') == 1 end
local next_delayed = call('ZRANGE', prefix .. 'delayed', 0, 0, 'WITHSCORES')[2]
facts.nextDelayed = next_delayed and math.floor(tonumber(next_delayed) / 4096) or nil

local function owner_of(job)
  local token = call('GET', prefix .. job .. ':lock')
  if not token then return nil end
  local server = token:match('^nmq%-([^:]+)')
  return {{
    server = server, left = call('PTTL', prefix .. job .. ':lock'),
    isGone = server and call('EXISTS', instances .. server) == 0 or nil,
  }}
end

-- The delayed jobs that the next fetch moves to those that wait, behind the ones of their priority.
local function due_ahead(job, priority)
  local ahead, urgent, is_before = 0, 0, true
  local ids = call('ZRANGEBYSCORE', prefix .. 'delayed', 0, (now + 1) * 4096 - 1, 'LIMIT', 0, {MAX_DUE})
  for _, other in ipairs(ids) do
    if other == job then is_before = false else
      local own = tonumber(call('HGET', prefix .. other, 'priority')) or 0
      if own < priority then urgent = urgent + 1 end
      if own == priority and is_before then ahead = ahead + 1 end
    end
  end
  return ahead, urgent
end

local function place(job, state, priority)
  local wait, prioritized = prefix .. 'wait', prefix .. 'prioritized'
  local step = 0x100000000
  if state == 'waiting' then return facts.wait - 1 - find('wait', job), 0 end
  if priority == 0 then
    local ahead = due_ahead(job, 0)
    return facts.wait + ahead, 0
  end
  local due, urgent = due_ahead(job, priority)
  urgent = urgent + facts.wait + call('ZCOUNT', prioritized, '-inf', '(' .. string.format('%.0f', priority * step))
  if state == 'prioritized' then
    return call('ZRANK', prioritized, job) - call('ZCOUNT', prioritized, '-inf',
      '(' .. string.format('%.0f', priority * step)), urgent
  end
  local same = call('ZCOUNT', prioritized, string.format('%.0f', priority * step),
    '(' .. string.format('%.0f', (priority + 1) * step))
  return same + due, urgent
end

local function state_of(queue, job)
  local function scored(set) return call('ZSCORE', queue .. set, job) end
  if scored('completed') then return 'completed' end
  if scored('failed') then return 'failed' end
  local score = scored('delayed')
  if score then return 'delayed', tonumber(score) end
  score = scored('prioritized')
  if score then return 'prioritized', tonumber(score) end
  if scored('waiting-children') then return 'waiting-children' end
  for list, state in pairs({{active = 'active', wait = 'waiting', paused = 'paused'}}) do
    if call('LPOS', queue .. list, job, 'RANK', -1) then return state end
  end
  return 'unknown'
end

local function child_of(key)
  if key:sub(1, #root) ~= root then return nil end
  local queue, job = key:sub(#root + 1):match('^([^:]+):(.+)$')
  return queue and {{queue = queue, id = job, prefix = root .. queue .. ':'}}
end

local function children_of(job)
  local key, cursor, seen = prefix .. job .. ':dependencies', '0', 0
  local found = {{count = call('SCARD', key), open = {{}}, failed = {{}}, missing = {{}}}}
  repeat
    local answer = call('SSCAN', key, cursor, 'COUNT', 100)
    cursor = answer[1]
    for _, member in ipairs(answer[2]) do
      seen = seen + 1
      local child = child_of(member)
      if child then
        local into = found.open
        if call('EXISTS', member) == 0 then into = found.missing
        elseif call('ZSCORE', child.prefix .. 'failed', child.id) then into = found.failed end
        if #into < {SHOWN} then
          child.state = into == found.missing and 'missing' or state_of(child.prefix, child.id)
          child.reason = into == found.failed and first_of(call('HGET', member, 'failedReason')) or nil
          child.prefix = nil
          into[#into + 1] = child
        end
      end
    end
  until cursor == '0' or seen >= {MAX_CHILDREN}
  return found
end

if id == '' then return cjson.encode(facts) end
local is_job = call('TYPE', prefix .. id).ok == 'hash'
local job = is_job and read(prefix .. id, 'timestamp', 'priority', 'atm', 'processedOn', 'finishedOn',
  'failedReason', 'rjk', 'nextmq:deliveries', 'pb') or {{}}
if not job.timestamp then
  facts.snapshot = call('GET', snapshot) or nil
  facts.holder = call('GET', prefix .. 'de:' .. id) or nil
  return cjson.encode(facts)
end
job.failedReason = first_of(job.failedReason)
local score
job.state, score = state_of(prefix, id)
if job.state == 'delayed' then job.due = math.floor(score / 4096) end
if job.state == 'active' then job.lock = owner_of(id) end
if job.state == 'waiting-children' then job.children = children_of(id) end
local priority = job.state == 'prioritized' and math.floor(score / 0x100000000) or tonumber(job.priority) or 0
if job.state == 'waiting' or job.state == 'prioritized' or (job.due and job.due <= now) then
  job.ahead, job.urgent = place(id, job.state, job.state == 'waiting' and 0 or priority)
end
if facts.hold.kind then
  local last = tonumber(call('ZSCORE', suspects, id))
  job.isSuspect = last and last > (tonumber(call('GET', reached)) or 0) or nil
end
facts.job = job
return cjson.encode(facts)
"""

JsonObject = dict[str, t.Any]


class Limited(t.NamedTuple):
    """What the limiter counts: how many starts, for how many more ms."""

    starts: int
    left: int

    @property
    def is_asked_for(self) -> bool:
        """Whether a processor or a person asked for the rest, rather than a limit of starts being reached."""
        return self.starts >= UNLIMITED


class RunFacts(t.NamedTuple):
    """What Redis holds: of the queue, and of the job if one was asked for and exists. `now` is Redis's, in ms."""

    now: int
    queue: JsonObject
    job: JsonObject | None

    @property
    def hold(self) -> JsonObject | None:
        """The hold of the queue's endpoint."""
        held: JsonObject = self.queue["hold"] or {}
        return held if "kind" in held else None

    @property
    def hold_left(self) -> int | None:
        """For how many ms the hold lets no job through, 0 if it lets one; None if only a registration ends it."""
        hold = self.hold or {}
        if hold.get("kind") == "disabled":
            return None
        ends = ["until"] if self.job and self.job.get("isSuspect") else ["untilOthers", "until"]
        until = next((int(hold[end]) for end in ends if end in hold), 0)
        return max(0, until - self.now)

    @property
    def limited(self) -> Limited:
        """What the limiter counts. While the queue is held, its key is the hold's, which keeps what it counted."""
        hold = self.hold
        if hold is None:
            return Limited(int(self.queue.get("starts") or 0), self.queue["limiterLeft"])
        return Limited(int(hold.get("starts") or 0), int(hold.get("startsUntil") or 0) - self.now)

    @property
    def meta(self) -> JsonObject:
        """The queue's settings, as text."""
        return t.cast("JsonObject", self.queue["meta"] or {})

    @property
    def waiting(self) -> int:
        """How many jobs wait."""
        return sum(int(self.queue[state]) for state in ("wait", "paused", "prioritized"))


async def read_facts(scripts: QueueScripts, job_id: str | None) -> RunFacts:
    """Return what Redis holds of the queue and the job. Raises RedisError or ConnectionLost."""
    own = [scripts.own_key(name) for name in ("hold", "suspects", "reached")]
    keys = [scripts.keys[""], *own, snapshot_key(scripts, job_id or "")]
    root, instances = f"{scripts.prefix}:", scripts.own_prefix("instance")
    text: str = await scripts.run_composed(_READ, keys, [job_id or "", root, instances])
    found: JsonObject = strict_json.parse(text)
    return RunFacts(found["now"], found, found.get("job"))
