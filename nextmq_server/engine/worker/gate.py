"""The gate of a queue: whether this process may fetch from it now, and by which script."""

from __future__ import annotations

import enum
import time
import typing as t

from ...timers import now_ms
from ..scripts.functions import HotScript
from ..scripts.holds import LOOK_INTERVAL, Effect, Held, Holds, Trouble
from ..scripts.limiter import hear_of_limits, limiter_of
from ..scripts.scripts import QueueScripts, pack
from ..scripts.tokens import server_of
from .finalize import Next

# fmt: off
_FETCH_KEYS = (
    "wait", "active", "prioritized", "events", "stalled", "limiter", "delayed", "paused", "meta", "pc", "marker",
)
# fmt: on

# KEYS: the 11 of moveToActive, the hold. ARGV: the 3 of moveToActive, "1" if the worker has no limiter.
# A hold whose rest has passed has no limiter's key any more, but lets one job through only.
FETCH = HotScript(
    "nextmqFetch",
    ["moveToActive"],
    f"""
if redis.call('EXISTS', KEYS[12]) == 1 then return {{0, 0, {LOOK_INTERVAL * 1000:.0f}, 0}} end
{hear_of_limits(opts=3, flag=4)}
return moveToActive(KEYS, ARGV)
""",
    needs_memory=True,
)


class GateState(enum.Enum):
    """What this process knows. Redis decides at each fetch."""

    OPEN = enum.auto()
    """Nothing prevents a fetch: fetch with BullMQ's script."""
    UNSURE = enum.auto()
    """The limiter's key is over the limit, because of a rate limit or a hold: the next fetch finds out."""
    HELD = enum.auto()
    """The queue is held: each fetch checks the hold, and once that has passed gets one job as a probe."""


class Gate:
    """Decides when a queue fetches. Async methods raise RedisError or ConnectionLost.

    `times_held` counts the holds that this process has seen.
    """

    def __init__(self, scripts: QueueScripts) -> None:
        self.times_held = 0
        self._scripts = scripts
        self._holds = Holds(scripts)
        self._keys = scripts.all_keys(*_FETCH_KEYS)
        self._hold = scripts.own_key("hold")
        self._state = GateState.OPEN
        self._shut_until = 0.0

    @property
    def rest_left(self) -> float:
        """How long (s) the queue still fetches nothing."""
        return max(0.0, self._shut_until - time.monotonic())

    @property
    def is_open(self) -> bool:
        """Whether the queue may fetch jobs as fast as possible."""
        return self._state is GateState.OPEN and not self.rest_left

    @property
    def is_unsure(self) -> bool:
        """Whether the next fetch may find what the last one did not."""
        return self._state is GateState.UNSURE

    @property
    def is_held(self) -> bool:
        """Whether this process knows of a hold."""
        return self._state is GateState.HELD

    def look_again(self) -> None:
        """Allow a fetch now, which finds out whether the queue still rests."""
        self._state, self._shut_until = GateState.UNSURE, 0.0

    def rest(self, seconds: float) -> None:
        """Fetch nothing for `seconds` in this process."""
        self._shut_until = max(self._shut_until, time.monotonic() + seconds)

    def note(self, found: Next) -> None:
        """Take note of what one of BullMQ's scripts returned."""
        if found.limited_for and self._state is GateState.OPEN:
            self._state = GateState.UNSURE

    async def fetch(self, token: str, opts: dict[str, t.Any]) -> Next:
        """Fetch the next job that may run now, if there is one, and lock it with `token`."""
        limiter, is_free = limiter_of(opts)
        packed = pack({"token": token, "name": server_of(token), **opts, "limiter": limiter})
        args = [self._scripts.keys[""], now_ms(), packed, is_free]
        if self._state is GateState.OPEN:
            found = Next.of(await self._scripts.run(FETCH.name, [*self._keys, self._hold], args))
            self.note(found)
            return found
        is_held, answer = await self._holds.fetch(self._keys, args)
        found = Next.of(answer)
        self._set_held(is_held)
        # The verdict of a probe decides when the next fetch is.
        self.rest(LOOK_INTERVAL if is_held and found.fields else min(LOOK_INTERVAL, found.limited_for / 1000))
        return found

    async def fail(self, trouble: Trouble, job_id: str) -> Held | Effect:
        """Note that the endpoint failed for a job. Return the hold, or the effect."""
        held = await self._holds.fail(trouble, job_id)
        if isinstance(held, Held):
            self._set_held(True)
            self._shut_until = 0.0
            self.rest(LOOK_INTERVAL if held.until is None else min(LOOK_INTERVAL, held.left / 1000))
        elif self.is_held:
            self.look_again()
        return held

    async def succeed(self, job_id: str) -> bool:
        """Note that the endpoint works: the job got through, or "". Return whether that ended a hold.

        A disabled endpoint stays disabled.
        """
        ended = await self._holds.succeed(job_id)
        if self.is_held:
            self.look_again()
        return ended

    def _set_held(self, is_held: bool) -> None:
        if is_held and not self.is_held:
            self.times_held += 1
        self._state = GateState.HELD if is_held else GateState.OPEN
