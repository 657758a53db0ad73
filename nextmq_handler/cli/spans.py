"""Times and counts as people type them: `10s`, `2h`, `100/60s`."""

from __future__ import annotations

import re

from .failure import USAGE, CommandFailed

_MS = {"ms": 1, "s": 1000, "m": 60_000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}
_SPAN = re.compile(r"([0-9]{1,12})(ms|s|min|m|h|d)", re.ASCII)
_RATE = re.compile(r"([0-9]{1,12})/(.+)", re.ASCII)


def ms_of(text: str, option: str) -> int:
    """Return a time such as `10s` in ms. Raises CommandFailed, which names `option`."""
    if (found := _SPAN.fullmatch(text.strip())) is None:
        raise CommandFailed(f"{option} takes a time such as 500ms, 10s, 5m, 2h or 7d, not {text!r}", USAGE)
    return int(found[1]) * _MS[found[2]]


def rate_of(text: str, option: str) -> tuple[int, int]:
    """Return how many jobs and in how many ms `100/60s` is. Raises CommandFailed."""
    if (found := _RATE.fullmatch(text.strip())) is None:
        raise CommandFailed(f"{option} takes jobs and a time, such as 100/60s, not {text!r}", USAGE)
    return int(found[1]), ms_of(found[2], option)
