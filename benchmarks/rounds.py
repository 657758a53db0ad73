"""Contenders timed in one run: proven first, then in rounds, interleaved and rotated."""

from __future__ import annotations

import gc
import statistics
import typing as t
from collections.abc import Sequence

from .integrations import Case, Contender

ROUNDS = 25
BATCH = 0.012
"""How long, in s, a contender runs at a time."""


class Result(t.NamedTuple):
    name: str
    seconds: float
    """Per request, the median of the rounds."""
    ratio: float
    """To the first contender, the median of the ratios within a round."""


def prove(contender: Contender) -> None:
    """Stop the benchmark if a contender does not answer its delivery, or accepts a forged one."""
    valid, forged = contender.valid.answer(), contender.forged.answer()
    if valid != 200:
        raise SystemExit(f"{contender.name} answers {valid} to a valid delivery: nothing is measured")
    if not 400 <= forged < 500:
        raise SystemExit(f"{contender.name} answers {forged} to a forged delivery: nothing is measured")


def compare(cases: Sequence[tuple[str, Case]], *, rounds: int = ROUNDS) -> list[Result]:
    """Run every case in every round; the others are compared with the first."""
    times = {name: _calls(case) for name, case in cases}
    seconds: dict[str, list[float]] = {name: [] for name, _ in cases}
    gc.collect()
    gc.freeze()  # what other contenders have imported is not walked over while this one runs
    for number in range(rounds):
        start = number % len(cases)
        for name, case in (*cases[start:], *cases[:start]):
            seconds[name].append(case.run(times[name]) / times[name])
    gc.unfreeze()
    base = seconds[cases[0][0]]
    return [
        Result(name, statistics.median(all), statistics.median(a / b for a, b in zip(all, base, strict=True)))
        for name, all in seconds.items()
    ]


def _calls(case: Case) -> int:
    """Return how many calls fill a batch; this also warms the contender up."""
    calls = 1
    while (taken := case.run(calls)) < BATCH / 2:
        calls *= 2
    return max(1, round(calls * BATCH / taken))
