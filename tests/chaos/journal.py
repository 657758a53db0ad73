"""The receiver's journal: what each start of a job did, even if the receiver's process dies."""

from __future__ import annotations

import json
import os
import typing as t
from pathlib import Path

Event = t.Literal["started", "effect", "answered"]


class Entry(t.NamedTuple):
    """One event of a start. `at` is ms since the epoch, `attempt` counts used attempts from 1."""

    event: Event
    number: int
    job_id: str
    attempt: int
    at: int


class Journal:
    """Appends entries to the file `path`, each with one write, so that entries do not mix."""

    def __init__(self, path: Path) -> None:
        # No fsync: what was written outlives the process, and it is processes that die here, not machines.
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def note(self, entry: Entry) -> None:
        """Append an entry."""
        os.write(self._descriptor, f"{json.dumps(entry)}\n".encode())


def read_journal(path: Path) -> list[Entry]:
    """Return all entries in their order."""
    return [Entry(*json.loads(line)) for line in path.read_text().splitlines()]
