"""The host that a request names."""

from __future__ import annotations

import re
import typing as t

LOOPBACK_NAMES = frozenset(("localhost", "127.0.0.1", "::1"))
"""The names of this machine that no other machine can have."""

_HOST = re.compile(r"(?:\[([^\[\]]*)\]|([^:\[\]]*))(?::\d{0,5})?")


def named_hosts(scope: t.Mapping[str, t.Any]) -> list[str]:
    """Return the values of the Host headers of a request, as they were sent."""
    return [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]


def is_host(named: t.Sequence[str], hosts: t.Container[str]) -> bool:
    """Return whether a request that names these hosts is for one of `hosts`, which are in lower case."""
    return len(named) == 1 and _without_port(named[0].lower()) in hosts


def _without_port(host: str) -> str:
    parts = _HOST.fullmatch(host)
    return (parts[1] or parts[2]) if parts else ""
