"""Holds in Redis: why and until when a queue's endpoint gets no deliveries, for every process to see.

While a queue rests, BullMQ's own limiter key is over the limit, so no process and no script fetches a job. The key
lives as long as the rest: others show it as a rate limit. After that the hold itself stays until a job has probed
the endpoint. It keeps the value that the key had before, and restores it at the end.
"""

from __future__ import annotations

import typing as t
from dataclasses import asdict, dataclass

from nextmq_handler.rules.limits import DAY_MS, UNLIMITED

from .limiter import hear_of_limits
from .scripts import QueueScripts, as_function, pack

Kind = t.Literal["unreachable", "throttled", "breaker", "disabled"]

LOOK_INTERVAL = 5.0
"""How often (s) a process checks at least whether a hold or a rate limit is over: others may have ended it."""

DISABLED = "endpoint-disabled"
"""The event in the queue's stream when an endpoint is disabled: it gets no jobs until its app registers again."""

_MAX_GAP = 2 * DAY_MS
"""A longer gap (ms) ends a failure streak: a weekly job that fails twice has not failed for a week."""

_LAPSE = DAY_MS
"""How long (ms) a hold is kept after its end, until a job probes the endpoint."""

_FOR_GOOD = 10 * 365 * DAY_MS

# UNLIMITED is the value of the limiter's key for "over the limit", as BullMQ writes it for a manual rate limit.
# Functions for the scripts below: `shut` and `reopen` the limiter's key, `lift` a hold.
_LIMITER = f"""
local UNLIMITED = '{UNLIMITED}'
local function shut(hold, limiter, now, life)
  local left = redis.call('PTTL', limiter)
  if left > 0 then
    redis.call('HSET', hold, 'starts', redis.call('GET', limiter), 'startsUntil', now + left)
  else
    redis.call('HDEL', hold, 'starts', 'startsUntil')
  end
  redis.call('SET', limiter, UNLIMITED, 'PX', life)
end
local function reopen(hold, limiter, now)
  local starts, startsUntil = unpack(redis.call('HMGET', hold, 'starts', 'startsUntil'))
  local left = (tonumber(startsUntil) or 0) - now
  redis.call('DEL', limiter)
  if left > 0 then redis.call('SET', limiter, starts, 'PX', left) end
end
local function lift(hold, limiter, marker, now)
  reopen(hold, limiter, now)
  redis.call('DEL', hold)
  redis.call('ZADD', marker, 0, '0')
end
"""

# KEYS: hold, limiter, marker, when the failure streak began, events, meta.
# ARGV: now in ms, the `Trouble` packed.
_FAIL = (
    _LIMITER
    + f"""
local hold, limiter, marker, failing, events, meta = unpack(KEYS)
local now, new = tonumber(ARGV[1]), cmsgpack.unpack(ARGV[2])
local kind, detail = new.kind or '', new.detail
local oldKind, since, till, count, oldDetail = unpack(
  redis.call('HMGET', hold, 'kind', 'since', 'until', 'count', 'detail'))
if oldKind == 'disabled' then
  redis.call('SET', limiter, UNLIMITED, 'PX', {_FOR_GOOD})  -- any client of Redis may have taken it away
  return {{oldKind, since, till, count, oldDetail, 0}}
end

local failingSince = tonumber(redis.call('GET', failing)) or now
redis.call('SET', failing, failingSince, 'PX', {_MAX_GAP})
if now - failingSince >= new.disable_after then
  kind = 'disabled'
  detail = detail .. string.format('; there were only failures for %g days', new.disable_after / {DAY_MS})
end
if kind == '' and oldKind == 'breaker' then kind = 'breaker' end
if kind == '' then
  if oldKind then lift(hold, limiter, marker, now) end
  return oldKind and 1 or 0
end

local isNew = not oldKind or kind == 'disabled' or (oldKind == 'breaker') ~= (kind == 'breaker')
if isNew then since, till, count = now, 0, 0 end
since, till, count = tonumber(since), tonumber(till), tonumber(count)
-- When an app goes away, several deliveries fail together: that is one reason to rest, not several.
if now >= till then
  count = count + 1
  local backoff = math.min(new.longest, new.first * 2 ^ math.min(count - 1, 30)) * new.jitter
  till = now + math.ceil(new.rest or backoff)
  redis.call('HDEL', hold, 'probe')
elseif new.rest then
  till = math.max(till, now + new.rest)
end

local rest = kind == 'disabled' and {_FOR_GOOD} or till - now
local life = kind == 'disabled' and {_FOR_GOOD} or rest + {_LAPSE}
if oldKind then redis.call('SET', limiter, UNLIMITED, 'PX', rest) else shut(hold, limiter, now, rest) end
redis.call('HSET', hold, 'kind', kind, 'since', since, 'until', till, 'count', count, 'detail', detail)
redis.call('PEXPIRE', hold, life)
if kind == 'disabled' then
  redis.call('DEL', failing)
  local length = redis.call('HGET', meta, 'opts.maxLenEvents') or 10000
  redis.call('XADD', events, 'MAXLEN', '~', length, '*', 'event', '{DISABLED}', 'detail', detail)
end
return {{kind, since, till, count, detail, isNew and 1 or 0}}
"""
)

# KEYS: hold, limiter, marker, when the failure streak began. ARGV: now in ms, "1" to enable a disabled endpoint.
_SUCCEED = (
    _LIMITER
    + """
local hold, limiter, marker, failing = unpack(KEYS)
local kind = redis.call('HGET', hold, 'kind')
if kind == 'disabled' and ARGV[2] ~= '1' then return 0 end
redis.call('DEL', failing)
if not kind then return 0 end
lift(hold, limiter, marker, tonumber(ARGV[1]))
return 1
"""
)

# KEYS: hold, limiter. ARGV: now in ms, for how many ms.
_LIMIT = f"""
if redis.call('EXISTS', KEYS[1]) == 1 then
  redis.call('HSET', KEYS[1], 'starts', '{UNLIMITED}', 'startsUntil', ARGV[1] + ARGV[2])
else
  redis.call('SET', KEYS[2], '{UNLIMITED}', 'PX', ARGV[2])
end
"""

# KEYS: the 11 of moveToActive, hold. ARGV: the 3 of moveToActive, "1" if the worker has no limiter.
# Returns whether the queue is held, and the answer of moveToActive. A job that is fetched from a held queue is a
# probe, and the only one as long as its lock lives.
_FETCH = (
    as_function("moveToActive")
    + _LIMITER
    + f"local function fetch() {hear_of_limits(opts=3, flag=4)} return moveToActive(KEYS, ARGV) end"
    + f"""
local hold, limiter, now = KEYS[12], KEYS[6], tonumber(ARGV[2])
local kind, till, probe = unpack(redis.call('HMGET', hold, 'kind', 'until', 'probe'))
if not kind then return {{0, fetch()}} end
local rest = kind == 'disabled' and {LOOK_INTERVAL * 1000:.0f} or tonumber(till) - now
if rest <= 0 and probe and redis.call('EXISTS', ARGV[1] .. probe .. ':lock') == 1 then
  rest = {LOOK_INTERVAL * 1000:.0f}
end
if rest > 0 then return {{1, {{0, 0, math.min(rest, {LOOK_INTERVAL * 1000:.0f}), 0}}}} end
reopen(hold, limiter, now)
local found = fetch()
shut(hold, limiter, now, {LOOK_INTERVAL * 1000:.0f})
if found[1] ~= 0 then redis.call('HSET', hold, 'probe', found[2]) end
return {{1, found}}
"""
)


@dataclass(frozen=True, slots=True)
class Trouble:
    """A failure of an endpoint. `kind` is None if it alone is not a reason to hold the queue.

    The first hold lasts `first` ms times `jitter`, each following one twice as long, up to `longest` ms; or `rest`
    ms if the endpoint told how long. After `disable_after` ms with nothing but failures the endpoint is disabled.
    """

    kind: Kind | None
    detail: str
    first: int
    longest: int
    jitter: float
    disable_after: int
    rest: int | None = None


class Held(t.NamedTuple):
    """A hold. Times are ms since the epoch; `until` is None if only a registration ends it."""

    kind: Kind
    since: int
    until: int | None
    detail: str
    is_new: bool = False

    @classmethod
    def of(cls, kind: Kind, since: str, until: str, detail: str, *, is_new: bool = False) -> Held:
        """Read what Redis holds."""
        return cls(kind, int(since), None if kind == "disabled" else int(until), detail, is_new)


class Holds:
    """The hold of one queue. Each method raises RedisError or ConnectionLost; `now` is ms since the epoch."""

    def __init__(self, scripts: QueueScripts) -> None:
        self._scripts = scripts
        self._hold = scripts.own_key("hold")
        self._keys = [self._hold, *scripts.all_keys("limiter", "marker"), scripts.own_key("failing")]

    async def read(self) -> Held | None:
        """Return the hold, if the queue is held."""
        fields = await self._scripts.connection.execute("HMGET", self._hold, "kind", "since", "until", "detail")
        return None if fields[0] is None else Held.of(*fields)

    async def fail(self, trouble: Trouble, now: int) -> Held | bool:
        """Note a failure. Return the hold, or whether the failure ended one because the endpoint was reached."""
        keys = [*self._keys, *self._scripts.all_keys("events", "meta")]
        answer = await self._scripts.run_composed(_FAIL, keys, [now, pack(asdict(trouble))])
        if isinstance(answer, int):
            return bool(answer)
        kind, since, until, _, detail, is_new = answer
        return Held.of(kind, since, until, detail, is_new=bool(is_new))

    async def succeed(self, now: int, *, is_enabled: bool = False) -> bool:
        """Note that the endpoint works. Return whether that ended a hold: `is_enabled` ends a disabled one too."""
        args = [now, "1" if is_enabled else "0"]
        return bool(await self._scripts.run_composed(_SUCCEED, self._keys, args))

    async def limit(self, duration: int, now: int) -> None:
        """Rate-limit the queue for `duration` ms. If it is held, the limit applies after the hold too."""
        await self._scripts.run_composed(_LIMIT, self._keys[:2], [now, duration])

    async def fetch(self, keys: list[str], args: list[t.Any]) -> tuple[bool, list[t.Any]]:
        """Run moveToActive if the hold allows it. Return whether the queue is held, and the answer.

        `keys` are those of moveToActive; `args` are its own and the flag of `limiter_of`.
        """
        is_held, answer = await self._scripts.run_composed(_FETCH, [*keys, self._hold], args)
        return bool(is_held), answer
