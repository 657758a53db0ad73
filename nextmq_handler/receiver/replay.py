"""Replay guards: each delivery id is accepted once (protocol section 2, optional)."""

from __future__ import annotations

import threading
import typing as t

from ..protocol.clocks import monotonic
from ..protocol.signing import Seal, SignatureError
from ..protocol.user_code import is_interrupt, kind_of

if t.TYPE_CHECKING:
    from redis import Redis


CLOCK_STEP = 1
"""Timestamps are whole s, so an id can come back for this long, in s, after twice the tolerance."""


class ReplayGuard(t.Protocol):
    """Remember delivery ids. All processes that serve the handler must share one guard."""

    def claim(self, delivery_id: str, lifetime: float) -> bool:
        """Return whether `delivery_id` is new. For the next `lifetime` s it is not. Thread-safe."""
        ...


class MemoryReplayGuard:
    """A guard for a single process. It holds the ids of the last `lifetime` s, without another bound."""

    def __init__(self, *, monotonic: t.Callable[[], float] = monotonic) -> None:
        self._monotonic = monotonic
        self._expires: dict[str, float] = {}
        self._lock = threading.Lock()

    def claim(self, delivery_id: str, lifetime: float) -> bool:
        """Return whether `delivery_id` is new."""
        now = self._monotonic()
        with self._lock:
            while self._expires and (oldest := next(iter(self._expires.items())))[1] <= now:
                del self._expires[oldest[0]]  # ids were added in the order in which they expire
            if delivery_id in self._expires:
                return False
            self._expires[delivery_id] = now + lifetime
            return True


class RedisReplayGuard:
    """A guard for many processes. It keeps the ids in `redis`, a `redis.Redis`, under `prefix`."""

    def __init__(self, redis: Redis, *, prefix: str = "nextmq:replay:") -> None:
        self._redis = redis
        self._prefix = prefix

    def claim(self, delivery_id: str, lifetime: float) -> bool:
        """Return whether `delivery_id` is new. Raises what redis-py raises."""
        return bool(self._redis.set(f"{self._prefix}{delivery_id}", 1, nx=True, px=round(lifetime * 1000)))


def refusal_of(
    guard: ReplayGuard, seal: Seal, *, tolerance: float, clock: t.Callable[[], float]
) -> tuple[int, str, str] | None:
    """Claim the id of a verified delivery. Return status, code and reason if it is refused, None if it is new.

    `tolerance` is s, `clock` returns Unix seconds.
    """
    try:
        is_new = guard.claim(seal.id, 2 * tolerance + CLOCK_STEP)
    except BaseException as exc:
        if is_interrupt(exc):
            raise
        return 503, "replay_guard_unavailable", f"the replay guard failed: {kind_of(exc)}"
    if not is_new:
        return 409, "duplicate_delivery", "its id was seen before"
    try:
        # Once more: a slow body or guard must not carry the request past the guard's memory.
        seal.check_age(clock(), tolerance)
    except SignatureError as exc:
        return 401, "unauthorized", exc.reason
    return None
