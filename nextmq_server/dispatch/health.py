"""The health of a queue's endpoint: what a finding means for its job, and for the other jobs of the queue."""

from __future__ import annotations

import logging
import math
import random
import typing as t

from nextmq_handler.protocol.clocks import monotonic
from nextmq_handler.protocol.outcomes import Failed
from nextmq_handler.rules.log_text import one_line

from ..engine.queues.queues import Limits
from ..engine.scripts.holds import Effect, Held, Kind, Trouble
from ..engine.verdicts import Hold, Verdict
from ..engine.worker.gate import Gate
from ..redis.connection import ConnectionLost, RedisError
from .breaker import Breaker
from .judge import Broken, Finding, NotRun, Reached, Unsendable

logger = logging.getLogger("nextmq_server.dispatch")

MAX_HOLD_TIME = 86_400.0
"""After this long, in s, without a delivery that ran, one that cannot run uses an attempt (protocol section 3)."""

DISABLE_AFTER = 5 * 86_400.0
"""After this long, in s, with nothing but failures the endpoint gets no more until its app registers again."""

FIRST_HOLDS: dict[Kind, float] = {"unreachable": 1.0, "throttled": 5.0, "breaker": 5.0, "disabled": 1.0}
"""How long, in s, the first pause lasts; each following one lasts twice as long."""

FIRST_HOLD_WHEN_WELL = 0.05
"""The same for a refusal if deliveries got through within WELL_INTERVAL: then it is likely to be about the job."""

UNSENDABLE_PAUSE = 1.0
"""How long, in s, a queue rests in this process if the server itself could not send."""

MAX_BACKOFF = 900.0
MAX_DETAIL = 500  # characters

WELL_INTERVAL = 60.0
"""At most this often, in s, a process records that an endpoint is healthy."""


class Health:
    """Decide for one queue. `max_backoff` is the longest pause between two tries, in s.

    `clock` is monotonic: how long pauses last is up to Redis's clock.
    """

    def __init__(
        self,
        queue: str,
        gate: Gate,
        *,
        max_backoff: float = MAX_BACKOFF,
        clock: t.Callable[[], float] = monotonic,
        rand: t.Callable[[], float] = random.random,
    ) -> None:
        self._queue = queue
        self._gate = gate
        self._max_backoff = max_backoff
        self._clock = clock
        self._rand = rand
        self._breaker = Breaker()
        self._times_held = 0
        self._noted_well_at = -WELL_INTERVAL
        self._reached_at: float | None = None

    async def verdict(self, finding: Finding, job_id: str) -> Verdict:
        """Return what happens to the job next, after recording in Redis how its endpoint is."""
        if self._times_held != self._gate.times_held:
            self._times_held = self._gate.times_held
            self._breaker.reset()  # failures before a hold are no reason for the next one
        match finding:
            case Reached(verdict, secret_id):
                now = self._clock()
                self._breaker.succeeded(now)
                if secret_id is not None:
                    self._reached_at = now
                await self._note_well(now, "" if secret_id is None else job_id)
                return verdict
            case Broken(failure):
                opens = self._breaker.failed(self._clock())
                detail = f"deliveries fail: {failure.reason}" if opens else failure.reason
                await self._fail(
                    self._trouble("breaker" if opens else None, detail, FIRST_HOLDS["breaker"]), job_id
                )
                return failure
            case NotRun():
                return await self._not_run(finding, job_id)
            case Unsendable(detail):
                logger.error("queue %s: %s; its jobs wait and use no attempts", self._queue, one_line(detail))
                return Hold(UNSENDABLE_PAUSE, detail)
            case _:
                t.assert_never(finding)

    async def _not_run(self, finding: NotRun, job_id: str) -> Hold | Failed:
        detail, kind = finding.detail, finding.kind
        first = FIRST_HOLDS[kind]
        if finding.is_refusal and self._reached_ago() < WELL_INTERVAL:
            first = FIRST_HOLD_WHEN_WELL
        trouble = self._trouble(kind, detail, first, rest=finding.retry_after, is_refusal=finding.is_refusal)
        held = await self._fail(trouble, job_id if finding.is_refusal else "")
        if held is Effect.ABOUT_THE_JOB:
            return Failed("DeliveryRefused", f"{detail}; other jobs of the queue got through meanwhile")
        if not isinstance(held, Held) or held.until is None:
            return Hold(first, detail)
        if kind == held.kind == "unreachable" and held.age >= MAX_HOLD_TIME * 1000:
            return Failed("EndpointUnavailable", f"{detail}; this has lasted for a day")
        return Hold(held.left / 1000, detail)

    def _trouble(
        self, kind: Kind | None, detail: str, first: float, *, rest: float | None = None, is_refusal: bool = False
    ) -> Trouble:
        reached_ago = self._reached_ago()
        return Trouble(
            kind,
            one_line(detail, MAX_DETAIL),
            first=round(first * 1000),
            longest=round(self._max_backoff * 1000),
            jitter=0.75 + 0.25 * self._rand(),
            disable_after=round(DISABLE_AFTER * 1000),
            rest=None if rest is None else round(rest * 1000),
            is_refusal=is_refusal,
            reached_ago=None if math.isinf(reached_ago) else round(reached_ago * 1000),
        )

    async def _fail(self, trouble: Trouble, job_id: str) -> Held | Effect:
        try:
            held = await self._gate.fail(trouble, job_id)
        except (RedisError, ConnectionLost) as exc:
            logger.warning("queue %s: cannot record that its endpoint failed: %s", self._queue, exc)
            return Effect.NONE
        if held is Effect.ENDED:
            _log_end_of_hold(self._queue)
        if not isinstance(held, Held) or not held.is_new:
            return held
        if held.kind == "disabled":
            logger.error(
                "queue %s is disabled: its jobs wait until its app registers again: %s", self._queue, held.detail
            )
        else:
            logger.error("queue %s is held: its jobs wait and use no attempts: %s", self._queue, held.detail)
        return held

    async def _note_well(self, now: float, job_id: str) -> None:
        """End a hold that this process knows of; otherwise record now and then that the endpoint is healthy."""
        if not self._gate.is_held and now - self._noted_well_at < WELL_INTERVAL:
            return
        self._noted_well_at = now
        try:
            if await self._gate.succeed(job_id):
                _log_end_of_hold(self._queue)
        except (RedisError, ConnectionLost) as exc:
            logger.warning("queue %s: cannot record that its endpoint is healthy: %s", self._queue, exc)

    def _reached_ago(self) -> float:
        """How long ago, in s, an outcome came to this process; infinity if none has."""
        return math.inf if self._reached_at is None else self._clock() - self._reached_at


async def end_hold(limits: Limits, queue: str) -> bool:
    """Deliver to the queue's endpoint again; return whether it was held. Raises RedisError or ConnectionLost."""
    ended = await limits.end_hold(queue)
    if ended:
        _log_end_of_hold(queue)
    return ended


def _log_end_of_hold(queue: str) -> None:
    logger.warning("the hold of queue %s is over", queue)
