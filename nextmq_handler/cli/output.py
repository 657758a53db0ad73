"""What commands print: tables, counts and times. Text of jobs and apps cannot break a line or style a terminal."""

from __future__ import annotations

import json
import os
import shutil
import sys
import typing as t

import typer

from ..rules.log_text import one_line

Cell = str | tuple[str, str]
"""A text, or a text and the name of its style."""

_STYLES: t.Mapping[str, dict[str, t.Any]] = {
    "bad": {"fg": "red"},
    "warn": {"fg": "yellow"},
    "ok": {"fg": "green"},
    "muted": {"dim": True},
    "head": {"bold": True},
}

_GAP = "  "
_SECONDS_FROM, _MINUTES_FROM = 999.5, 59_950  # ms; above, the text would be rounded to the next unit
_UNITS = ((2 * 86_400_000, 86_400_000, "d"), (2 * 3_600_000, 3_600_000, "h"), (_MINUTES_FROM, 60_000, "min"))


def say(*lines: str) -> None:
    """Print lines. Styles are left out if nobody looks."""
    typer.echo("\n".join(lines))


def clear() -> None:
    """Clear the terminal, if somebody looks at one."""
    if sys.stdout.isatty():
        typer.echo("\x1b[2J\x1b[H", nl=False)


def print_json(value: object) -> None:
    """Print JSON in ASCII, which every terminal and pipe can carry."""
    typer.echo(json.dumps(value, indent=2))


def styled(text: str, style: str | None) -> str:
    """Return the text in a style: bad, warn, ok, muted or head. NO_COLOR is respected."""
    if not style or not text or os.environ.get("NO_COLOR"):
        return text
    return typer.style(text, **_STYLES[style])


def table(
    heads: t.Sequence[str], rows: t.Iterable[t.Sequence[Cell]], *, right: t.Collection[int] = ()
) -> list[str]:
    """Return the lines of a table without borders. Columns of `right` are aligned there.

    A terminal's width cuts the last column.
    """
    cells = [[_parts(cell) for cell in row] for row in rows]
    cells.insert(0, [(head.upper(), "muted") for head in heads])
    widths = [max(len(row[column][0]) for row in cells) for column in range(len(heads))]
    last = len(heads) - 1
    room = max(20, terminal_width() - sum(widths[:-1]) - len(_GAP) * last)
    lines: list[str] = []
    for row in cells:
        texts: list[str] = []
        for column, (text, style) in enumerate(row):
            if column == last:
                cut = one_line(text, room)
                texts.append(styled(cut.rjust(widths[column]) if column in right else cut, style))
                continue
            width = widths[column]
            padded = text.rjust(width) if column in right else text.ljust(width)
            texts.append(styled(padded, style))
        lines.append(_GAP.join(texts).rstrip())
    return lines


def terminal_width() -> int:
    """Return how many characters a line may have: there is no bound if nobody looks."""
    return shutil.get_terminal_size((100, 24)).columns if sys.stdout.isatty() else 100_000


def _parts(cell: Cell) -> tuple[str, str | None]:
    text, style = cell if isinstance(cell, tuple) else (cell, None)
    return text if text.isprintable() else one_line(text), style


def count(number: int, noun: str) -> str:
    """Return `1 job`, `2,000 jobs`."""
    return f"{number:,} {noun if number == 1 else f'{noun}s'}"


def duration(ms: float) -> str:
    """Return a time in ms as people say it: `12 ms`, `1.0 s`, `90 min`, `3 h`, `4 d`."""
    if ms < _SECONDS_FROM:
        return f"{ms:.0f} ms"
    if ms < _MINUTES_FROM:
        return f"{ms / 1000:.1f} s"
    return next(f"{ms / unit:.0f} {name}" for least, unit, name in _UNITS if ms >= least)


def moment(at: float | None, now: float) -> str:
    """Return a time as people say it, seen from `now`, both ms since the epoch: `6 min ago`, `in 1.0 s`."""
    if at is None:
        return "-"
    return f"{duration(now - at)} ago" if at <= now else f"in {duration(at - now)}"
