"""Holds in Redis: why and until when a queue's endpoint gets no deliveries, for every process to see.

While a queue rests, BullMQ's own limiter key is over the limit, so no process and no script fetches a job. The key
lives as long as the rest: others show it as a rate limit. After that the hold itself stays until a job has probed
the endpoint. It keeps the value that the key had before, and restores it at the end. Times are by Redis's clock.
"""

from __future__ import annotations

import asyncio
import enum
import typing as t
from dataclasses import asdict, dataclass

from nextmq_handler.rules.limits import DAY_MS, UNLIMITED

from .limiter import hear_of_limits
from .scripts import QueueScripts, as_function, pack
from .suspects import FORGET, PATIENCE, PROBE_OTHERS, SUSPECTS

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


class Effect(enum.IntEnum):
    """What a failure changed, if the queue is not held after it."""

    NONE = 0
    ENDED = 1
    """It ended a hold: the endpoint was reached."""
    ABOUT_THE_JOB = 2
    """Nothing: other jobs got through since the endpoint refused this one before."""


# UNLIMITED is the value of the limiter's key for "over the limit", as BullMQ writes it for a manual rate limit.
# For the scripts below: `now` in ms, `shut` and `reopen` the limiter's key, `lift` a hold.
_LIMITER = f"""
local UNLIMITED = '{UNLIMITED}'
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local function shut(hold, limiter, life)
  local left = redis.call('PTTL', limiter)
  if left > 0 then
    redis.call('HSET', hold, 'starts', redis.call('GET', limiter), 'startsUntil', now + left)
  else
    redis.call('HDEL', hold, 'starts', 'startsUntil')
  end
  redis.call('SET', limiter, UNLIMITED, 'PX', life)
end
local function reopen(hold, limiter)
  local starts, startsUntil = unpack(redis.call('HMGET', hold, 'starts', 'startsUntil'))
  local left = (tonumber(startsUntil) or 0) - now
  redis.call('DEL', limiter)
  if left > 0 then redis.call('SET', limiter, starts, 'PX', left) end
end
local function lift(hold, limiter, marker)
  reopen(hold, limiter)
  redis.call('DEL', hold)
  redis.call('ZADD', marker, 0, '0')
end
"""

# KEYS: hold, limiter, marker, when the failure streak began, suspects, when a delivery got through, events, meta.
# ARGV: the `Trouble` packed, the id of the job or "".
# Returns the hold, or an `Effect`.
_FAIL = (
    _LIMITER
    + SUSPECTS
    + f"""
local hold, limiter, marker, failing, suspects, reached, events, meta = unpack(KEYS)
local new, job = cmsgpack.unpack(ARGV[1]), ARGV[2]
local kind, detail = new.kind or '', new.detail
local oldKind, since, till, count, oldDetail = unpack(
  redis.call('HMGET', hold, 'kind', 'since', 'until', 'count', 'detail'))
if oldKind == 'disabled' then
  redis.call('SET', limiter, UNLIMITED, 'PX', {_FOR_GOOD})  -- any client of Redis may have taken it away
  return {{oldKind, since, till, oldDetail, 0, now}}
end

local isAnother, isAboutTheJob, others = false, false, 0
if job ~= '' and (new.is_refusal or oldKind == 'breaker') then
  isAnother, isAboutTheJob, others = suspect(suspects, reached, job, new.reached_ago)
end
if new.is_refusal and isAboutTheJob and not oldKind then return {Effect.ABOUT_THE_JOB.value} end

local failingSince = tonumber(redis.call('GET', failing)) or now
redis.call('SET', failing, failingSince, 'PX', {_MAX_GAP})
if now - failingSince >= new.disable_after then
  kind = 'disabled'
  detail = detail .. string.format('; there were only failures for %g days', new.disable_after / {DAY_MS})
end
if kind == '' and oldKind == 'breaker' then kind = 'breaker' end
if kind == '' then
  if oldKind then lift(hold, limiter, marker) end
  return oldKind and {Effect.ENDED.value} or {Effect.NONE.value}
end

local isNew = not oldKind or kind == 'disabled' or (oldKind == 'breaker') ~= (kind == 'breaker')
if isNew then since, till, count = now, 0, 0 end
since, till, count = tonumber(since), tonumber(till), tonumber(count)
local asksOthers = new.is_refusal and others <= {PATIENCE}
-- When an app goes away, several deliveries fail together: that is one reason to rest, not several.
if now >= till then
  if count == 0 or not (asksOthers and isAnother) then count = count + 1 end
  local backoff = math.min(new.longest, new.first * 2 ^ math.min(count - 1, 30)) * new.jitter
  till = now + math.ceil(new.rest or backoff)
  redis.call('HDEL', hold, 'probe')
elseif new.rest then
  till = math.max(till, now + new.rest)
end
local tillOthers = asksOthers and math.min(till, now + new.first) or till

local rest = kind == 'disabled' and {_FOR_GOOD} or math.max(1, till - now)
local life = kind == 'disabled' and {_FOR_GOOD} or rest + {_LAPSE}
if oldKind then redis.call('SET', limiter, UNLIMITED, 'PX', rest) else shut(hold, limiter, rest) end
redis.call('HSET', hold, 'kind', kind, 'since', since, 'until', till, 'untilOthers', tillOthers,
  'count', count, 'detail', detail)
redis.call('PEXPIRE', hold, life)
if kind == 'disabled' then
  redis.call('DEL', failing)
  local length = redis.call('HGET', meta, 'opts.maxLenEvents') or 10000
  redis.call('XADD', events, 'MAXLEN', '~', length, '*', 'event', '{DISABLED}', 'detail', detail)
end
return {{kind, since, till, detail, isNew and 1 or 0, now}}
"""
)

# KEYS: hold, limiter, marker, when the failure streak began, suspects, when a delivery got through.
# ARGV: "1" to enable a disabled endpoint and forget the suspects; the id of the job that got through, or "".
_SUCCEED = (
    _LIMITER
    + FORGET
    + """
local hold, limiter, marker, failing, suspects, reached = unpack(KEYS)
local kind = redis.call('HGET', hold, 'kind')
if kind == 'disabled' and ARGV[1] ~= '1' then return 0 end
redis.call('DEL', failing)
if ARGV[1] == '1' then redis.call('DEL', suspects, reached) elseif ARGV[2] ~= '' then
  got_through(suspects, reached, ARGV[2])
end
if not kind then return 0 end
lift(hold, limiter, marker)
return 1
"""
)

# KEYS: hold, limiter. ARGV: for how many ms.
_LIMIT = (
    _LIMITER
    + """
if redis.call('EXISTS', KEYS[1]) == 1 then
  redis.call('HSET', KEYS[1], 'starts', UNLIMITED, 'startsUntil', now + ARGV[1])
else
  redis.call('SET', KEYS[2], UNLIMITED, 'PX', ARGV[1])
end
"""
)

# KEYS: the 11 of moveToActive, hold, suspects, when a delivery got through.
# ARGV: the 3 of moveToActive, "1" if the worker has no limiter.
# Returns whether the queue is held, and the answer of moveToActive. A job that is fetched from a held queue is a
# probe, and the only one as long as its lock lives.
_FETCH = (
    as_function("moveToActive")
    + _LIMITER
    + PROBE_OTHERS
    + f"local function fetch() {hear_of_limits(opts=3, flag=4)} return moveToActive(KEYS, ARGV) end"
    + f"""
local hold, limiter = KEYS[12], KEYS[6]
local kind, till, tillOthers, probe = unpack(redis.call('HMGET', hold, 'kind', 'until', 'untilOthers', 'probe'))
if not kind then return {{0, fetch()}} end
local longest = {LOOK_INTERVAL * 1000:.0f}
local rest = kind == 'disabled' and longest or tonumber(till) - now
local restOthers = kind == 'disabled' and longest or tonumber(tillOthers or till) - now
if restOthers <= 0 and probe and redis.call('EXISTS', ARGV[1] .. probe .. ':lock') == 1 then
  rest, restOthers = longest, longest
end
if restOthers > 0 then return {{1, {{0, 0, math.min(restOthers, longest), 0}}}} end
reopen(hold, limiter)
local found = probe_others(fetch, KEYS, rest <= 0)
shut(hold, limiter, math.max(rest, longest))
if found[1] ~= 0 then redis.call('HSET', hold, 'probe', found[2])
elseif rest > 0 then found = {{0, 0, math.min(rest, longest), 0}} end
return {{1, found}}
"""
)


@dataclass(frozen=True, slots=True)
class Trouble:
    """A failure of an endpoint. `kind` is None if it alone is not a reason to hold the queue.

    The first hold lasts `first` ms times `jitter`, each following one twice as long, up to `longest` ms; or `rest`
    ms if the endpoint told how long. After `disable_after` ms with nothing but failures the endpoint is disabled.
    `is_refusal`: the endpoint may refuse this job only. `reached_ago`: how many ms ago a delivery got through.
    """

    kind: Kind | None
    detail: str
    first: int
    longest: int
    jitter: float
    disable_after: int
    rest: int | None = None
    is_refusal: bool = False
    reached_ago: int | None = None


class Held(t.NamedTuple):
    """A hold. Times are ms since the epoch on Redis's clock; `until` is None if only a registration ends it.

    `age` and `left` are ms: how long the queue has been held, and for how long the hold lasts.
    """

    kind: Kind
    since: int
    until: int | None
    detail: str
    age: int
    left: int
    is_new: bool = False

    @classmethod
    def of(cls, kind: Kind, since: str, until: str, detail: str, *, now: int, is_new: bool = False) -> Held:
        """Read what Redis holds; `now` is its time in ms."""
        end = None if kind == "disabled" else int(until)
        left = 0 if end is None else max(0, end - now)
        return cls(kind, int(since), end, detail, now - int(since), left, is_new)


class Holds:
    """The hold of one queue. Each method raises RedisError or ConnectionLost."""

    def __init__(self, scripts: QueueScripts) -> None:
        self._scripts = scripts
        self._hold = scripts.own_key("hold")
        self._suspects = [scripts.own_key("suspects"), scripts.own_key("reached")]
        self._keys = [
            self._hold,
            *scripts.all_keys("limiter", "marker"),
            scripts.own_key("failing"),
            *self._suspects,
        ]

    async def read(self) -> Held | None:
        """Return the hold, if the queue is held."""
        execute = self._scripts.connection.execute
        fields, (seconds, micros) = await asyncio.gather(
            execute("HMGET", self._hold, "kind", "since", "until", "detail"), execute("TIME")
        )
        now = int(seconds) * 1000 + int(micros) // 1000
        return None if fields[0] is None else Held.of(*fields, now=now)

    async def fail(self, trouble: Trouble, job_id: str = "") -> Held | Effect:
        """Note a failure, of the job's delivery if that may be the reason. Return the hold, or the effect."""
        keys = [*self._keys, *self._scripts.all_keys("events", "meta")]
        answer = await self._scripts.run_composed(_FAIL, keys, [pack(asdict(trouble)), job_id])
        if isinstance(answer, int):
            return Effect(answer)
        *fields, is_new, now = answer
        return Held.of(*fields, is_new=bool(is_new), now=int(now))

    async def succeed(self, job_id: str = "", *, is_enabled: bool = False) -> bool:
        """Note that the endpoint works: the job, if given, got through. Return whether that ended a hold.

        `is_enabled` ends the hold of a disabled endpoint too, and clears every job of suspicion.
        """
        args = ["1" if is_enabled else "0", job_id]
        return bool(await self._scripts.run_composed(_SUCCEED, self._keys, args))

    async def limit(self, duration: int) -> None:
        """Rate-limit the queue for `duration` ms. If it is held, the limit applies after the hold too."""
        await self._scripts.run_composed(_LIMIT, self._keys[:2], [duration])

    async def fetch(self, keys: list[str], args: list[t.Any]) -> tuple[bool, list[t.Any]]:
        """Run moveToActive if the hold allows it. Return whether the queue is held, and the answer.

        `keys` are those of moveToActive; `args` are its own and the flag of `limiter_of`.
        """
        is_held, answer = await self._scripts.run_composed(_FETCH, [*keys, self._hold, *self._suspects], args)
        return bool(is_held), answer
