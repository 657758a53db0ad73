"""The health of a queue's endpoint: what a finding means for its job, and for the other jobs of the queue."""

from __future__ import annotations

import logging
import random
import typing as t

from nextmq_handler.protocol.clocks import wall_clock
from nextmq_handler.protocol.outcomes import Failed
from nextmq_handler.rules.log_text import one_line

from ..engine.queues.queues import Limits
from ..engine.scripts.holds import Held, Kind, Trouble
from ..engine.verdicts import Hold, Verdict
from ..engine.worker.gate import Gate
from ..redis.connection import ConnectionLost, RedisError
from .breaker import Breaker
from .judge import Broken, Finding, NotRun, Reached

logger = logging.getLogger("nextmq_server.dispatch")

MAX_HOLD_TIME = 86_400.0
"""After this long, in s, without a delivery that ran, one that cannot run uses an attempt (protocol section 3)."""

DISABLE_AFTER = 5 * 86_400.0
"""After this long, in s, with nothing but failures the endpoint gets no more until its app registers again."""

FIRST_HOLDS: dict[Kind, float] = {"unreachable": 1.0, "throttled": 5.0, "breaker": 5.0, "disabled": 1.0}
"""How long, in s, the first pause lasts; each following one lasts twice as long."""

MAX_BACKOFF = 900.0
MAX_DETAIL = 500  # characters

WELL_INTERVAL = 60.0
"""At most this often, in s, a process records that an endpoint is healthy."""


class Health:
    """Decide for one queue. `max_backoff` is the longest pause between two tries, in s."""

    def __init__(
        self,
        queue: str,
        gate: Gate,
        *,
        max_backoff: float = MAX_BACKOFF,
        clock: t.Callable[[], float] = wall_clock,
        rand: t.Callable[[], float] = random.random,
    ) -> None:
        self._queue = queue
        self._gate = gate
        self._max_backoff = max_backoff
        self._clock = clock
        self._rand = rand
        self._breaker = Breaker()
        self._times_held = 0
        self._noted_well_at = 0.0

    async def verdict(self, finding: Finding) -> Verdict:
        """Return what happens to the job next, after recording in Redis how its endpoint is."""
        if self._times_held != self._gate.times_held:
            self._times_held = self._gate.times_held
            self._breaker.reset()  # failures before a hold are no reason for the next one
        match finding:
            case Reached(verdict):
                self._breaker.succeeded(self._clock())
                await self._note_well()
                return verdict
            case Broken(failure):
                opens = self._breaker.failed(self._clock())
                detail = f"deliveries fail: {failure.reason}" if opens else failure.reason
                await self._fail("breaker" if opens else None, detail, FIRST_HOLDS["breaker"])
                return failure
            case NotRun(detail, kind, retry_after):
                first = FIRST_HOLDS[kind]
                held = await self._fail(kind, detail, first, retry_after)
                if held is None or held.until is None:
                    return Hold(first, detail)
                now = self._clock()
                if kind == held.kind == "unreachable" and now - held.since / 1000 >= MAX_HOLD_TIME:
                    return Failed("EndpointUnavailable", f"{detail}; this has lasted for a day")
                return Hold(max(0.0, held.until / 1000 - now), detail)
            case _:
                t.assert_never(finding)

    async def _fail(self, kind: Kind | None, detail: str, first: float, rest: float | None = None) -> Held | None:
        trouble = Trouble(
            kind,
            one_line(detail, MAX_DETAIL),
            first=round(first * 1000),
            longest=round(self._max_backoff * 1000),
            jitter=0.75 + 0.25 * self._rand(),
            disable_after=round(DISABLE_AFTER * 1000),
            rest=None if rest is None else round(rest * 1000),
        )
        try:
            held = await self._gate.fail(trouble, self._now())
        except (RedisError, ConnectionLost) as exc:
            logger.warning("queue %s: cannot record that its endpoint failed: %s", self._queue, exc)
            return None
        if not isinstance(held, Held):
            if held:
                _log_end_of_hold(self._queue)
            return None
        if held.is_new and held.kind == "disabled":
            logger.error(
                "queue %s is disabled: its jobs wait until its app registers again: %s", self._queue, held.detail
            )
        elif held.is_new:
            logger.error("queue %s is held: its jobs wait and use no attempts: %s", self._queue, held.detail)
        return held

    async def _note_well(self) -> None:
        """End a hold that this process knows of; otherwise record now and then that the endpoint is healthy."""
        now = self._clock()
        if not self._gate.is_held and now - self._noted_well_at < WELL_INTERVAL:
            return
        self._noted_well_at = now
        try:
            if await self._gate.succeed(self._now()):
                _log_end_of_hold(self._queue)
        except (RedisError, ConnectionLost) as exc:
            logger.warning("queue %s: cannot record that its endpoint is healthy: %s", self._queue, exc)

    def _now(self) -> int:
        return round(self._clock() * 1000)


async def end_hold(limits: Limits, queue: str) -> bool:
    """Deliver to the queue's endpoint again; return whether it was held. Raises RedisError or ConnectionLost."""
    ended = await limits.end_hold(queue)
    if ended:
        _log_end_of_hold(queue)
    return ended


def _log_end_of_hold(queue: str) -> None:
    logger.warning("the hold of queue %s is over", queue)
