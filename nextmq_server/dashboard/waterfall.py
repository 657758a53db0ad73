"""The waterfall of a job: its wait, its deliveries and what lay between them, on one axis of time."""

from __future__ import annotations

import typing as t

from markupsafe import Markup

from nextmq_handler.rules.delivery_log import MAX_DELIVERIES
from nextmq_handler.rules.log_text import one_line
from nextmq_handler.rules.views import JobView

from ..words import counted, span_text
from .charts import text

BREAK_ABOVE = 3
"""A pause that is longer than so many times the rest of the axis is drawn shortened."""

BROKEN_SHARE = 0.25
"""How long a shortened pause is drawn, as a share of the rest of the axis."""

_ROW, _BAR, _TOP, _AXIS = 28, 12, 8, 20
_MAX_OUTCOME = 40
_LEAST = 0.4  # percent: a bar of 0 ms is seen too
_RIGHT = 90.0  # percent: a label that begins further right ends at its bar
_CLASSES = {"completed": "done", "failed": "fail", "running": "run"}


class Stretch(t.NamedTuple):
    """A part of the axis: `kind` is wait, pause, or the outcome of a delivery. Times are ms since the epoch."""

    kind: str
    start: int
    end: int

    @property
    def is_pause(self) -> bool:
        """Whether nothing ran."""
        return self.kind in ("wait", "pause")

    @property
    def length(self) -> int:
        """How long it lasted, in ms; 0 if a clock went back."""
        return max(0, self.end - self.start)


def spans_of(job: JobView, now: int) -> list[Stretch]:
    """Return what a job went through, in order. `now` is ms since the epoch, until which it waits or runs."""
    spans: list[Stretch] = []
    at = job["timestamp"]
    for start, length, outcome in _deliveries(job):
        spans.append(Stretch("pause" if spans else "wait", at, start))
        at = start + length
        spans.append(Stretch(outcome, start, at))
    pause = "pause" if spans else "wait"
    if job["state"] == "active" and job["processedOn"] is not None:
        spans += [Stretch(pause, at, job["processedOn"]), Stretch("running", job["processedOn"], now)]
    elif job["finishedOn"] is None:
        spans.append(Stretch(pause, at, now))
    return spans


def _deliveries(job: JobView) -> t.Iterator[tuple[int, int, str]]:
    """Yield when each delivery began, how long it took (ms), and its outcome.

    Any client of Redis may write there.
    """
    for entry in job["deliveries"][-MAX_DELIVERIES:]:
        at, ms, outcome = t.cast("tuple[object, ...]", (entry["at"], entry["ms"], entry["outcome"]))
        if isinstance(at, int) and isinstance(ms, int):
            yield at, max(0, ms), one_line(str(outcome), _MAX_OUTCOME)


def waterfall(job: JobView, now: int) -> Markup:
    """Return the chart of a job; empty if there is nothing to show."""
    spans = spans_of(job, now)
    if not spans:
        return Markup("")
    drawn = _drawn(spans)
    scale = 100 / (sum(drawn) or 1)
    rows = sum(not span.is_pause for span in spans) or 1
    ground = _TOP + rows * _ROW + 4
    shapes: list[Markup] = []
    x, row = 0.0, 0
    for span, length in zip(spans, drawn, strict=True):
        y, wide = _TOP + row * _ROW, length * scale
        if span.is_pause:
            shapes.append(_pause(span, x, wide, y, is_broken=length < span.length, is_first=span.kind == "wait"))
        else:
            shapes.append(_bar(span, x, max(_LEAST, wide), y))
            row += 1
        x += wide
    axis = Markup('<line x1="0" x2="100%" y1="{0}.5" y2="{0}.5"/>').format(ground)
    ends = text(0, ground + 16, "added") + text(100, ground + 16, f"+{span_text(_whole(spans))}", anchor="end")
    return Markup('<svg class="fall" height="{}" role="img" aria-label="{}">{}{}{}</svg>').format(
        ground + _AXIS, waterfall_text(spans), axis, ends, Markup("").join(shapes)
    )


def waterfall_text(spans: t.Sequence[Stretch]) -> str:
    """Return what the chart shows, in words."""
    ran = [span for span in spans if not span.is_pause]
    waited = f"Waited {span_text(spans[0].length)}" if spans and spans[0].kind == "wait" else "Waited"
    if not ran:
        return f"{waited}, no delivery yet"
    lengths = ", ".join(f"{span_text(span.length)} {span.kind}" for span in ran)
    return f"{waited}, then {counted(len(ran), 'delivery', 'deliveries')}: {lengths}"


def _whole(spans: t.Sequence[Stretch]) -> int:
    return max(0, spans[-1].end - spans[0].start)


def _drawn(spans: t.Sequence[Stretch]) -> list[float]:
    """Return how long each span is drawn: pauses that would leave no room for the rest are shortened."""
    drawn: list[float] = [span.length for span in spans]
    pauses = [place for place, span in enumerate(spans) if span.is_pause]
    for place in sorted(pauses, key=lambda place: spans[place].length, reverse=True):
        rest = max(1.0, sum(drawn) - drawn[place])
        if len(spans) > 1 and drawn[place] > BREAK_ABOVE * rest:
            drawn[place] = BROKEN_SHARE * rest
    return drawn


def _pause(span: Stretch, x: float, wide: float, y: int, *, is_broken: bool, is_first: bool) -> Markup:
    middle, words = y + _BAR // 2, span_text(span.length)
    mark = text(x + wide / 2, middle + 4, "//", anchor="middle") if is_broken else Markup("")
    if is_first:
        bar = Markup('<rect class="wait" x="{}%" y="{}" width="{}%" height="{}" rx="2"/>')
        label = text(x, y + _BAR + 14, f"waited {words}", css="t") if span.length else Markup("")
        return bar.format(f"{x:.2f}", y, f"{wide:.2f}", _BAR) + label + mark
    line = Markup('<line class="gap" x1="{}%" x2="{}%" y1="{}" y2="{}"/>')
    end = x + wide
    above = middle - _ROW
    across = line.format(f"{x:.2f}", f"{end:.2f}", above, above)
    down = line.format(f"{end:.2f}", f"{end:.2f}", above, middle)
    has_room = wide > 8
    label = text(x + wide / 2, above + 15, words, css="no-ph", anchor="middle") if has_room else Markup("")
    return across + down + label + (text(x + wide / 2, above + 4, "//", anchor="middle") if is_broken else "")


def _bar(span: Stretch, x: float, wide: float, y: int) -> Markup:
    x = min(x, 100 - wide)
    bar = Markup('<rect class="{}" x="{}%" y="{}" width="{}%" height="{}" rx="2"/>').format(
        _CLASSES.get(span.kind, "put-back"), f"{x:.2f}", y, f"{wide:.2f}", _BAR
    )
    if x > _RIGHT:
        return bar + text(x + wide, y + _BAR + 13, span_text(span.length), css="t", anchor="end")
    return bar + text(x, y + _BAR + 13, span_text(span.length), css="t")
