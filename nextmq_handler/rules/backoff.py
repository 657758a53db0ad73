"""How long a failed job waits before its next attempt, as Node's BullMQ computes it."""

from __future__ import annotations

import random
import types
import typing as t

Strategies = t.Mapping[str, t.Sequence[int]]
"""A worker's own backoff types: the ms to wait after each attempt; the last one repeats."""

BUILT_IN = ("fixed", "exponential")


class UnknownBackoff(Exception):
    """The job asks for a backoff type that neither BullMQ nor the queue's worker has."""


def backoff_delay(
    backoff: t.Any,
    attempts_made: int,
    strategies: Strategies = types.MappingProxyType({}),
    *,
    rand: t.Callable[[], float] = random.random,
) -> int:
    """Return the ms to wait after `attempts_made` attempts. `backoff` is the job option: ms, a dict, or None.

    Raises UnknownBackoff.
    """
    if not backoff:
        return 0
    if isinstance(backoff, (int, float)):
        return max(0, int(backoff))
    kind, delay = backoff.get("type"), backoff.get("delay") or 0
    jitter = min(1.0, max(0.0, backoff.get("jitter") or 0.0))
    if kind == "exponential":
        delay = round(2 ** min(attempts_made - 1, 40) * delay)
    elif isinstance(kind, str) and kind in strategies:
        delay = strategies[kind][:attempts_made][-1]
    elif kind != "fixed":
        *known, last = (*BUILT_IN, *strategies)
        raise UnknownBackoff(f"backoff type {kind!r} is not known: use {', '.join(known)} or {last}")
    return max(0, int(rand() * delay * jitter + delay * (1 - jitter)))
