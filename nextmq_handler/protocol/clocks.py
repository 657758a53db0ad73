"""This machine's clocks as default arguments. Each call looks them up: a test may have frozen them."""

from __future__ import annotations

import time


def wall_clock() -> float:
    """Return the time in s since the epoch."""
    return time.time()


def monotonic() -> float:
    """Return the time in s since some moment, on a clock that nobody sets."""
    return time.monotonic()
