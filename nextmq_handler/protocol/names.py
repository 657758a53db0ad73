"""The rule for queue names (protocol section 1), for both halves."""

from __future__ import annotations

from ..errors import ConfigurationError

_CHARACTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._~-"


def is_queue_name(name: object) -> bool:
    """Return whether `name` passes every router and proxy unescaped (protocol section 1)."""
    if not isinstance(name, str) or name in (".", ".."):
        return False
    return 1 <= len(name) <= 100 and not name.lstrip(_CHARACTERS)


def check_queue_name(name: object) -> str:
    """Return `name`. Raises ConfigurationError, which states the rule, if it is not a queue name."""
    if not isinstance(name, str) or not is_queue_name(name):
        shown = repr(name) if len(repr(name)) <= 120 else repr(name)[:120] + "…"
        raise ConfigurationError(
            f"{shown} is not a queue name: use 1 to 100 of the characters A-Z a-z 0-9 . _ ~ - "
            '(and not "." or ".." alone)'
        )
    return name
