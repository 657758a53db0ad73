"""Old public names: each still works, and warns once with the name that took its place."""

from __future__ import annotations

import functools
import typing as t
import warnings

if t.TYPE_CHECKING:
    from typing_extensions import deprecated
else:
    _warned: set[str] = set()

    def deprecated(message):
        """Mark a function: its first call in a process warns with `message` (DeprecationWarning)."""

        def mark(function):
            @functools.wraps(function)
            def call(*args, **kwargs):
                if message not in _warned:
                    _warned.add(message)
                    warnings.warn(message, DeprecationWarning, stacklevel=2)
                return function(*args, **kwargs)

            return call

        return mark


__all__ = ["deprecated"]
