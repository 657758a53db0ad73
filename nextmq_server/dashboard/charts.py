"""The charts of the pages, as inline SVG: classes give them their look, a sentence says what they show."""

from __future__ import annotations

import typing as t

from markupsafe import Markup, escape

from ..minutes.counts import COMPLETED, FAILED, Counts
from ..words import counted
from .words import clock

MINUTES = 60
"""How many minutes a strip shows."""

_MINUTE = 60_000


class MinuteCount(t.NamedTuple):
    """How many jobs ended in the minute that begins at `at`, ms since the epoch."""

    at: int
    completed: int
    failed: int


def minute_counts(steps: t.Iterable[tuple[int, Counts]]) -> list[MinuteCount]:
    """Return what the minutes of a queue tell about its jobs."""
    return [
        MinuteCount(at, counts.numbers.get(COMPLETED, 0), counts.numbers.get(FAILED, 0)) for at, counts in steps
    ]


class StripForm(t.NamedTuple):
    """The measures of a strip: its class, its width and height, and how many minutes a bar stands for."""

    css: str
    width: int
    height: int
    step: int


SMALL = StripForm("sp", 120, 18, 2)
"""A strip in a row of a table."""

LARGE = StripForm("strip", 600, 36, 1)
"""A strip above a page."""


def strip(points: t.Iterable[MinuteCount], name: str, now: int, frame: StripForm = SMALL) -> Markup:
    """Return the bars of the last hour. A minute without a point has no ground line.

    `now` is ms since the epoch.
    """
    first = now // _MINUTE - MINUTES + 1
    kept = [point for point in points if first <= point.at // _MINUTE < first + MINUTES]
    number_of_bars = MINUTES // frame.step
    done, failed, ran = [0] * number_of_bars, [0] * number_of_bars, [False] * number_of_bars
    for point in kept:
        place = (point.at // _MINUTE - first) // frame.step
        done[place] += max(0, point.completed)
        failed[place] += max(0, point.failed)
        ran[place] = True
    peak = max(1, *(one + other for one, other in zip(done, failed, strict=True)))
    pitch, ground = frame.width // number_of_bars, frame.height - 1
    heights = [_height(count, peak, ground - 1) for count in done]
    red = [_height(count, peak, ground - 1) for count in failed]
    paths = [
        ("base", "".join(f"M{x * pitch} {ground}.5h{pitch}" for x, is_there in enumerate(ran) if is_there)),
        ("bars", _bars(heights, pitch, ground, red)),
        ("fail", _bars(red, pitch, ground, [0] * number_of_bars)),
    ]
    drawn = Markup("").join(Markup('<path class="{}" d="{}"/>').format(css, d) for css, d in paths if d)
    return Markup(
        '<svg class="{}" viewBox="0 0 {} {}" preserveAspectRatio="none" role="img" aria-label="{}">{}</svg>'
    ).format(frame.css, frame.width, frame.height, strip_text(kept, name, now), drawn)


def strip_text(points: t.Sequence[MinuteCount], name: str, now: int) -> str:
    """Return what a strip shows, in words."""
    kept = [point for point in points if point.at // _MINUTE > now // _MINUTE - MINUTES]
    done, failed = sum(point.completed for point in kept), sum(point.failed for point in kept)
    if not done + failed:
        return f"{name}, last {MINUTES} min: nothing ran"
    peak = max(kept, key=lambda point: point.completed + point.failed)
    most = f"peak {peak.completed + peak.failed:,} a minute at {clock(peak.at)[:5]} UTC"
    return f"{name}, last {MINUTES} min: {counted(done, 'job')} done, {failed:,} failed, {most}"


def rate(points: t.Iterable[MinuteCount], now: int) -> int:
    """Return how many jobs ended in the last full minute."""
    last = now // _MINUTE - 1
    return sum(point.completed + point.failed for point in points if point.at // _MINUTE == last)


def _height(count: int, peak: int, most: int) -> int:
    return max(1, count * most // peak) if count else 0


def _bars(heights: t.Sequence[int], pitch: int, ground: int, below: t.Sequence[int]) -> str:
    """Return a path of bars, each on top of what is `below` it."""
    wide = pitch - max(1, pitch // 5)
    return "".join(
        f"M{place * pitch} {ground - low}v-{high}h{wide}v{high}z"
        for place, (high, low) in enumerate(zip(heights, below, strict=True))
        if high
    )


def text(x: float, y: int, words: str, *, css: str = "", anchor: str = "") -> Markup:
    """Return words in a chart; `x` is percent."""
    return Markup('<text{}{} x="{}%" y="{}">{}</text>').format(
        Markup(' class="{}"').format(css) if css else "",
        Markup(' text-anchor="{}"').format(anchor) if anchor else "",
        f"{x:.2f}",
        y,
        escape(words),
    )
