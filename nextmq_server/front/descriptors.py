"""Open files: callers get at most half of what the process may have, so that deliveries never want for one."""

from __future__ import annotations

import sys

from . import bounds

_ENOUGH = 4 * bounds.MAX_CONNECTIONS
_OF_CALLERS = 2  # they get one file in so many

BACKLOG = 1024
"""How many connections the system queues until the process takes them, all at once."""


def raise_limit() -> None:
    """Let the process open as many files as the system lets it, and as it may need."""
    if sys.platform != "win32":
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = _ENOUGH if hard == resource.RLIM_INFINITY else min(hard, _ENOUGH)
        if soft != resource.RLIM_INFINITY and soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def max_connections() -> int:
    """Return how many connections of callers the process may have."""
    return min(bounds.MAX_CONNECTIONS, _limit() // _OF_CALLERS)


def backlog() -> int:
    """Return how many connections may wait: the process takes them before it can refuse any."""
    return min(BACKLOG, _limit() // (2 * _OF_CALLERS))


def _limit() -> int:
    if sys.platform == "win32":
        return _ENOUGH
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _ENOUGH if soft == resource.RLIM_INFINITY else soft
