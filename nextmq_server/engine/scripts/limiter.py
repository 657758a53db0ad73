"""BullMQ's limiter key, which makes a queue rest in every process."""

from __future__ import annotations

import typing as t

from nextmq_handler.rules.limits import UNLIMITED

NEVER_LIMITS: t.Final = {"max": UNLIMITED, "duration": 1000}
"""The limiter of a worker without a limit: BullMQ reads the limiter key only for workers that have a limiter."""


def hear_of_limits(*, opts: int, flag: int) -> str:
    """Return Lua to run before one of BullMQ's scripts, which lets a worker without a limiter see rate limits.

    BullMQ reads the limiter key only for a worker that has a limiter, and counts its starts there. A worker
    without one (argument number `flag` is "1", see `limiter_of`) gets one that never limits, but only while the
    key exists: it sees rate limits and holds, and Redis counts nothing for it. Argument number `opts` is the
    packed worker options.
    """
    return f"""
if ARGV[{flag}] == '1' and redis.call('EXISTS', KEYS[6]) == 1 then
  local opts = cmsgpack.unpack(ARGV[{opts}])
  opts['limiter'] = {{max = {NEVER_LIMITS["max"]}, duration = {NEVER_LIMITS["duration"]}}}
  ARGV[{opts}] = cmsgpack.pack(opts)
end
"""


def limiter_of(worker: t.Mapping[str, t.Any]) -> tuple[dict[str, int] | None, str]:
    """Return the limiter to pack for these worker options, and the flag for `hear_of_limits`."""
    limiter = worker["limiter"]
    return (None, "1") if limiter is NEVER_LIMITS else (limiter, "")
