"""Results in this process: for tests, and for an app that is one process."""

from __future__ import annotations

import threading
import typing as t
from heapq import heappop, heappush

from ..protocol.clocks import monotonic
from .store import Busy, Finished


class _Entry(t.NamedTuple):
    owner: str
    result: str | None
    expires: float


class MemoryStore:
    """Keep results in memory until they expire."""

    def __init__(self, *, monotonic: t.Callable[[], float] = monotonic) -> None:
        self._monotonic = monotonic
        self._entries: dict[str, _Entry] = {}
        self._ends: list[tuple[float, str]] = []
        """A heap: when each entry expires, and when it would have expired before it changed."""
        self._lock = threading.Lock()

    def begin(self, key: str, owner: str, lease: float) -> Finished | Busy | None:
        """Claim `key` for `lease` s."""
        now = self._monotonic()
        with self._lock:
            self._forget_expired(now)
            entry = self._entries.get(key)
            if entry is None:
                self._put(key, _Entry(owner, None, now + lease))
                return None
            return Busy(entry.expires - now) if entry.result is None else Finished(entry.result)

    def finish(self, key: str, owner: str, result: str, keep: float) -> None:
        """Keep `result` for `keep` s."""
        with self._lock:
            if self._is_owner(key, owner):
                self._put(key, _Entry(owner, result, self._monotonic() + keep))

    def release(self, key: str, owner: str) -> None:
        """Free `key`."""
        with self._lock:
            if self._is_owner(key, owner):
                del self._entries[key]

    def clear(self) -> None:
        """Forget everything: for tests, whose jobs may look like those of another test."""
        with self._lock:
            self._entries.clear()
            self._ends.clear()

    def _put(self, key: str, entry: _Entry) -> None:
        self._entries[key] = entry
        heappush(self._ends, (entry.expires, key))

    def _forget_expired(self, now: float) -> None:
        while self._ends and self._ends[0][0] <= now:
            _, key = heappop(self._ends)
            entry = self._entries.get(key)
            if entry is not None and entry.expires <= now:
                del self._entries[key]

    def _is_owner(self, key: str, owner: str) -> bool:
        entry = self._entries.get(key)
        return entry is not None and entry.owner == owner and entry.result is None
