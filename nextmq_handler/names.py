"""The queue name rule of protocol section 1, for both halves."""

from __future__ import annotations

import re

from .errors import ConfigurationError

_QUEUE_NAME = re.compile(r"[A-Za-z0-9._~-]{1,100}")


def is_queue_name(name: object) -> bool:
    """Whether `name` survives every router and proxy unescaped (protocol section 1)."""
    return isinstance(name, str) and name not in (".", "..") and _QUEUE_NAME.fullmatch(name) is not None


def check_queue_name(name: object) -> str:
    """`name` itself. Raises ConfigurationError, naming the rule, where it is not a queue name."""
    if not isinstance(name, str) or not is_queue_name(name):
        shown = repr(name) if len(repr(name)) <= 120 else repr(name)[:120] + "…"
        raise ConfigurationError(
            f"{shown} is not a queue name: use 1 to 100 of the characters A-Z a-z 0-9 . _ ~ - "
            '(and not "." or ".." alone)'
        )
    return name
