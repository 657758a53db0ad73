"""The name that was perhaps meant. Finding it takes bounded time, however many names there are."""

from __future__ import annotations

import heapq
import typing as t

COMPARED = 20
"""How many names are compared closely: those that begin and end most like the wanted one."""

MAX_LENGTH = 256
"""Longer names, in characters, are not compared."""

CUTOFF = 0.6
"""How alike two names must be, from 0 to 1."""


def nearest(wanted: str, names: t.Iterable[str], cutoff: float = CUTOFF) -> str | None:
    """Return the one of `names` that is most like `wanted` whatever their case; None if none is alike."""
    import difflib  # only a mistake pays for it

    folded = wanted.casefold()[:MAX_LENGTH]
    by_folded = {name.casefold(): name for name in names if len(name) <= MAX_LENGTH}
    if folded in by_folded:
        return by_folded[folded]
    likely = heapq.nlargest(COMPARED, by_folded, key=lambda name: _ends_alike(folded, name))
    near = difflib.get_close_matches(folded, likely, n=1, cutoff=cutoff)
    return by_folded[near[0]] if near else None


def _ends_alike(one: str, other: str) -> int:
    """Return how many characters two names share at both ends, less the difference of their lengths."""
    first = _common_start(one, other)
    last = _common_start(one[first:][::-1], other[first:][::-1])
    return first + last - abs(len(one) - len(other))


def _common_start(one: str, other: str) -> int:
    pairs = zip(one, other, strict=False)
    return next(
        (index for index, (char, of_other) in enumerate(pairs) if char != of_other), min(len(one), len(other))
    )
