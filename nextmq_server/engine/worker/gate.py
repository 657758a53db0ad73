"""The gate of a queue: whether this process may fetch from it now, and by which script."""

from __future__ import annotations

import enum
import time
import typing as t

from ...timers import now_ms
from ..scripts.functions import HotScript
from ..scripts.holds import LOOK_INTERVAL, Held, Holds, Trouble
from ..scripts.limiter import hear_of_limits, limiter_of
from ..scripts.scripts import QueueScripts, pack
from .finalize import Next

# fmt: off
_FETCH_KEYS = (
    "wait", "active", "prioritized", "events", "stalled", "limiter", "delayed", "paused", "meta", "pc", "marker",
)
# fmt: on

# ARGV: the 3 of moveToActive, "1" where the worker has no limiter.
FETCH = HotScript(
    "nextmqFetch",
    ["moveToActive"],
    hear_of_limits(opts=3, flag=4) + "return moveToActive(KEYS, ARGV)",
    needs_memory=True,
)


class State(enum.Enum):
    """What this process knows: Redis decides at each fetch."""

    OPEN = enum.auto()
    """Nothing was in the way: fetch with BullMQ's script."""
    UNSURE = enum.auto()
    """The limiter's key is over the limit, by a rate limit or a hold: the next fetch finds out."""
    HELD = enum.auto()
    """The endpoint is not well: each fetch looks at the hold, and once it has passed gets one job as a probe."""


class Gate:
    """When a queue fetches. Calls that go to Redis raise RedisError or ConnectionLost; their `now` is ms.

    `times_held` counts the holds that this process has come to know of.
    """

    def __init__(self, scripts: QueueScripts) -> None:
        self.times_held = 0
        self._scripts = scripts
        self._holds = Holds(scripts)
        self._keys = scripts.all_keys(*_FETCH_KEYS)
        self._state = State.OPEN
        self._shut_until = 0.0

    @property
    def rest_left(self) -> float:
        """For how many s more nothing is fetched."""
        return max(0.0, self._shut_until - time.monotonic())

    @property
    def is_open(self) -> bool:
        """Whether jobs may be fetched as fast as there are any."""
        return self._state is State.OPEN and not self.rest_left

    @property
    def is_unsure(self) -> bool:
        """Whether the next fetch may tell more than the last one."""
        return self._state is State.UNSURE

    @property
    def is_held(self) -> bool:
        """Whether a hold is known here."""
        return self._state is State.HELD

    def look_again(self) -> None:
        """What the queue rested for has changed: the next fetch, at once, finds out how it is now."""
        self._state, self._shut_until = State.UNSURE, 0.0

    def rest(self, seconds: float) -> None:
        """Fetch nothing for `seconds`, for a reason of this process alone."""
        self._shut_until = max(self._shut_until, time.monotonic() + seconds)

    def note(self, found: Next) -> None:
        """What one of BullMQ's scripts handed back."""
        if found.limited_for and self._state is State.OPEN:
            self._state = State.UNSURE

    async def fetch(self, token: str, opts: dict[str, t.Any]) -> Next:
        """The next job, locked with `token`, if there is one that may run now."""
        limiter, is_free = limiter_of(opts)
        packed = pack({"token": token, **opts, "limiter": limiter})
        args = [self._scripts.keys[""], now_ms(), packed, is_free]
        if self._state is State.OPEN:
            found = Next.of(await self._scripts.run(FETCH.name, self._keys, args))
            self.note(found)
            return found
        is_held, answer = await self._holds.fetch(self._keys, args)
        found = Next.of(answer)
        self._set_held(is_held)
        # A probe's verdict says how it goes on.
        self.rest(LOOK_INTERVAL if is_held and found.fields else min(LOOK_INTERVAL, found.limited_for / 1000))
        return found

    async def fail(self, trouble: Trouble, now: int) -> Held | bool:
        """The endpoint failed: the hold that there is now, else whether this ended one."""
        held = await self._holds.fail(trouble, now)
        if isinstance(held, Held):
            self._set_held(True)
            self._shut_until = 0.0
            self.rest(LOOK_INTERVAL if held.until is None else min(LOOK_INTERVAL, (held.until - now) / 1000))
        elif self.is_held:
            self.look_again()
        return held

    async def succeed(self, now: int) -> bool:
        """The endpoint is well: whether that ended a hold. A disabled one stays so."""
        ended = await self._holds.succeed(now)
        if self.is_held:
            self.look_again()
        return ended

    def _set_held(self, is_held: bool) -> None:
        if is_held and not self.is_held:
            self.times_held += 1
        self._state = State.HELD if is_held else State.OPEN
