"""BullMQ's limiter key, by which a queue rests in every process: heard of, and not counted on without need."""

from __future__ import annotations

import typing as t

UNLIMITED = 2**53 - 1
"""The limiter counter that means "over the limit", as BullMQ writes it for a rate limit by hand."""

NEVER_LIMITS: t.Final = {"max": UNLIMITED, "duration": 1000}
"""The limiter of a worker that has none: BullMQ looks at the limiter's key for those only that have one."""


def hear_of_limits(*, opts: int, flag: int) -> str:
    """Lua that goes before one of BullMQ's scripts whose argument number `opts` are the packed worker options.

    BullMQ looks at the limiter's key only for a worker that has a limiter, and counts its starts there. One
    without (argument number `flag` is "1", as `limiter_of` has it) gets one that never limits, but only while the
    key is there: so it hears of rate limits and holds, and Redis counts nothing for it.
    """
    return f"""
if ARGV[{flag}] == '1' and redis.call('EXISTS', KEYS[6]) == 1 then
  local opts = cmsgpack.unpack(ARGV[{opts}])
  opts['limiter'] = {{max = {NEVER_LIMITS["max"]}, duration = {NEVER_LIMITS["duration"]}}}
  ARGV[{opts}] = cmsgpack.pack(opts)
end
"""


def limiter_of(worker: t.Mapping[str, t.Any]) -> tuple[dict[str, int] | None, str]:
    """The limiter to pack of these worker options, and the flag for `hear_of_limits`."""
    limiter = worker["limiter"]
    return (None, "1") if limiter is NEVER_LIMITS else (limiter, "")
