"""Python tracebacks as failed outcomes have them: the line of the app's own code that raised."""

from __future__ import annotations

import re
import typing as t

_FRAME = re.compile(r'^[ |+]*File "(?P<file>[^"\n]{1,1000})", line (?P<line>\d{1,9})', re.MULTILINE)
_START = "Traceback (most recent call last):"
_NOT_OF_THE_APP = re.compile(
    r"[/\\](?:(?:site|dist)-packages|lib[/\\]python3[^/\\]*|nextmq_(?:handler|adapters|server))[/\\]|^<"
)


class Frame(t.NamedTuple):
    """A line of a file."""

    file: str
    line: int


def innermost_frame(stack: str) -> Frame | None:
    """Return the innermost frame of the app's own code in the exception that was raised last.

    If that exception has none, those that it came from are looked at. None if `stack` is not a Python traceback,
    or has frames of installed packages and Python's library only.
    """
    for part in reversed(stack.split(_START)):
        for found in reversed(list(_FRAME.finditer(part))):
            if not _NOT_OF_THE_APP.search(found["file"]):
                return Frame(found["file"], int(found["line"]))
    return None
