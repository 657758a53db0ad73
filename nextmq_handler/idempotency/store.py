"""The calls of a store of results."""

from __future__ import annotations

import typing as t


class Finished(t.NamedTuple):
    """The work is done, with this result, as JSON text."""

    result: str


class Busy(t.NamedTuple):
    """Another run holds the key: its lease ends in `retry_after` s."""

    retry_after: float


class IdempotencyStore(t.Protocol):
    """Keep keys, their owners and results. Thread-safe, and shared by every process that runs the processor."""

    def begin(self, key: str, owner: str, lease: float) -> Finished | Busy | None:
        """Claim `key` for `lease` s; None means that `owner` holds it now."""
        ...

    def finish(self, key: str, owner: str, result: str, keep: float) -> None:
        """Keep `result` for `keep` s, if `owner` still holds `key`."""
        ...

    def release(self, key: str, owner: str) -> None:
        """Free `key`, if `owner` still holds it."""
        ...
