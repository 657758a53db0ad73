"""The scorecard, as text."""

from __future__ import annotations

import typing as t
from collections import Counter

from .judge import Silence, expected
from .requests import Wire
from .scoring import GroupScore, Hole

_LONG = 120
_MANY = 10


def line_of(score: GroupScore) -> str:
    """Format one group: how many of its cases passed."""
    if not score.sent:
        return f"{score.title:<18} {'–':>9}"
    mark = "" if score.passed == score.sent else "  <- holes"
    return f"{score.title:<18} {f'{score.passed}/{score.sent}':>9}{mark}"


def summary(scores: t.Sequence[GroupScore]) -> list[str]:
    """List the holes, what was not sent and why, and the share of the cases that passed."""
    passed, sent = sum(score.passed for score in scores), sum(score.sent for score in scores)
    holes = [hole for score in scores for hole in score.holes]
    lines = [line for hole in holes for line in _lines_of(hole)]
    reasons = sum((score.unsent for score in scores), Counter[str]())
    if reasons:
        lines += ["", f"{reasons.total()} cases do not apply and were not sent:"]
        lines += [f"  {count:>3}  {reason}" for reason, count in reasons.items()]
    if len(holes) >= _MANY and all(
        not isinstance(hole.came, Silence) and hole.came.status == 404 for hole in holes
    ):
        hint = "hint: each hole is a 404: is the handler mounted at this URL, with a worker for the queue?"
        lines += ["", hint]
    # Never rounded up to 100 %.
    return [*lines, "", f"{passed} of {sent} cases passed: {100 * passed // sent if sent else 0} %"]


def _lines_of(hole: Hole) -> list[str]:
    answer = hole.came
    came = answer.reason if isinstance(answer, Silence) else f"{answer.status} {_text(answer.body)}".rstrip()
    fault = f" ({hole.fault})" if hole.fault != came else ""
    return [
        "",
        f"hole: {hole.case.name}",
        f"  sent      {_shown_wire(hole.case.wire)}",
        f"  expected  {expected(hole.case)} ({hole.section})",
        f"  came      {came}{fault}",
    ]


def _shown_wire(wire: Wire) -> str:
    head = ", ".join(f"{_text(name)}: {_text(value)}" for name, value in wire.headers)
    size = f"{len(wire.body)} bytes" if wire.body else "no body"
    rest = f": {_text(wire.body)}" if wire.body else ""
    return f"{wire.method} {wire.route} with {head or 'no headers'}; {size}{rest}"


def _text(raw: bytes) -> str:
    # Text of the handler must not control the terminal.
    text = "".join(
        letter if letter.isprintable() else ascii(letter)[1:-1]
        for letter in raw[:_LONG].decode("utf-8", "replace")
    )
    return text if len(raw) <= _LONG else text + "…"
