"""JSON that is given on the command line, in a file or on standard input."""

from __future__ import annotations

import json
import sys
import typing as t
from pathlib import Path

from ...rules.limits import MAX_DATA_SIZE
from ..failure import USAGE, CommandFailed

MAX_READ = 2 * MAX_DATA_SIZE
"""The most bytes that are read: the server takes less, but the same data may be written with spaces."""


def read_json(text: str, what: str) -> t.Any:
    """Return the JSON that `text` is; `@path` reads a file, `-` standard input. Raises CommandFailed."""
    try:
        if text == "-":
            text = sys.stdin.read(MAX_READ)
        elif text.startswith("@"):
            with Path(text[1:]).open(encoding="utf-8") as file:
                text = file.read(MAX_READ)
    except (OSError, UnicodeDecodeError) as exc:
        raise CommandFailed(f"{what} cannot be read: {exc}", USAGE) from None
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise CommandFailed(f"{what} is not JSON: {exc}. A text needs quotes: '\"text\"'", USAGE) from None
