"""Reasons of failures without what differs each time, so that the same failure has the same reason."""

from __future__ import annotations

import re

MAX_REASON = 300
"""The longest reason of a group, in characters."""

_READ = 2000

_VARYING = re.compile(
    r"""
      \b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b             # a UUID
    | \b[a-z][a-z0-9+.-]{1,20}://[^\s"'<>)]+                                 # a URL
    | [^\s@"'<>(]{1,64}@[^\s@"'<>)]{1,255}                                   # an e-mail address
    | (?<![\w:])(?:[0-9a-fA-F]{0,4}:){2,7}[0-9a-fA-F]{1,4}(?![\w:])          # an IPv6 address, or a time
    | \b0x[0-9a-fA-F]+\b
    | \b(?=[0-9a-fA-F]*[0-9])(?=[0-9a-fA-F]*[a-fA-F])[0-9a-fA-F]{6,}\b       # hex, as of a hash
    | "[^"\n]{1,200}"
    | (?<!\w)'[^'\n]{1,200}'(?!\w)
    | `[^`\n]{1,200}`
    | (?<![A-Za-z_])[0-9]+(?:[.,:][0-9]+)*
    """,
    re.VERBOSE | re.ASCII,
)
_REPEATED = re.compile(r"…(?:[\s,;:./-]*…)+")
_SPACE = re.compile(r"\s+")


def normalised(reason: str) -> str:
    """Return the reason on one line, with numbers, hex, UUIDs, addresses and quoted parts as `…`."""
    line = _SPACE.sub(" ", _VARYING.sub("…", reason[:_READ])).strip()
    line = _REPEATED.sub("…", line)
    return line if len(line) <= MAX_REASON else line[: MAX_REASON - 1] + "…"
