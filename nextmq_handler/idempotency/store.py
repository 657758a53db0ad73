"""What a store of results does."""

from __future__ import annotations

import typing as t


class Finished(t.NamedTuple):
    """The work was done before, with this result, as JSON text."""

    result: str


class Busy(t.NamedTuple):
    """Another run is under way; it, or its lease, is over in `retry_after` s at the latest."""

    retry_after: float


class IdempotencyStore(t.Protocol):
    """Keeps keys, their owners and results. Thread-safe, and shared by every process that runs the processor."""

    def begin(self, key: str, owner: str, lease: float) -> Finished | Busy | None:
        """Take `key` for `lease` s; None where it is `owner`'s now."""
        ...

    def finish(self, key: str, owner: str, result: str, keep: float) -> None:
        """Keep `result` for `keep` s, if the key is still `owner`'s."""
        ...

    def release(self, key: str, owner: str) -> None:
        """Let go of `key`, if it is still `owner`'s."""
        ...
