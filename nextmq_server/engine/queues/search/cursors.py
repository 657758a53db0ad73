"""The cursor of a search: where it goes on, as a text that callers send back."""

from __future__ import annotations

import base64
import binascii
import re
import typing as t

from nextmq_handler.protocol import strict_json

from .sources import SOURCES, ScanPlace
from .walks import Spot

MAX_CURSOR = 8192
"""The longest cursor, in characters."""

_SCORE = re.compile(r"\+inf|-?[0-9]{1,20}(\.[0-9]{1,20})?(e[+-]?[0-9]{1,3})?", re.ASCII)
_ANCHORS = 2
_NAMES = {source.name for source in SOURCES}


class BadCursor(ValueError):
    """A cursor is not one that a search has answered with."""


def write_cursor(spot: Spot) -> str:
    """Return the cursor for a spot."""
    score, id, start, anchors = spot.place
    parts = [spot.queue, spot.source, score, id, start, list(anchors[-_ANCHORS:])]
    cursor = base64.urlsafe_b64encode(strict_json.compact(parts).encode()).decode().rstrip("=")
    if len(cursor) > MAX_CURSOR:  # ids that another client made: the overlap is all that a list has then
        return write_cursor(spot._replace(place=ScanPlace(score if start == 0 else "+inf", start=start)))
    return cursor


def read_cursor(text: str) -> Spot:
    """Return the spot of a cursor. Raises BadCursor."""
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        queue, source, score, id, start, anchors = strict_json.loads(raw)
        ids: list[str] = [queue, source, id, *anchors]
        "".join(ids).encode("utf-8", "surrogateescape")
    except (ValueError, TypeError, binascii.Error):
        raise BadCursor(text) from None
    if not (
        isinstance(score, str)
        and _SCORE.fullmatch(score)
        and source in _NAMES
        and isinstance(anchors, list)
        and type(start) is int
        and 0 <= start < 2**31
        and len(t.cast("list[str]", anchors)) <= _ANCHORS
    ):
        raise BadCursor(text)
    return Spot(queue, source, ScanPlace(score, id, start, tuple(t.cast("list[str]", anchors))))
