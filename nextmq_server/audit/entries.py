"""An entry of the audit log: who did what, from where, to which jobs, and how it ended."""

from __future__ import annotations

import typing as t

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from nextmq_handler.rules.log_text import one_line

from ..projects.roles import MAX_KEY_NAME, ApiKey

MAX_IDS = 20
"""How many ids of jobs an entry has at most; `count` tells how many there were."""

MAX_ID = 100
"""An id is cut at this length, in characters."""

MAX_FILTER = 500
"""A filter is cut at this length, in characters."""

STARTED, DONE = "started", "done"
"""The outcomes of an action before it begins, and after it succeeded. Else it is the code of the error."""


class _Kept(BaseModel):
    """Another version of the server may have written it."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore", frozen=True)


class Who(_Kept):
    """Who acted: an API key by its id, never its value."""

    kind: str
    id: str
    role: str
    name: str | None = None

    @classmethod
    def of(cls, key: ApiKey) -> Who:
        """Return the one who has this API key."""
        return cls(kind="key", id=key.id, name=key.name, role=key.role)

    def __str__(self) -> str:
        named = one_line(self.name, MAX_KEY_NAME) if self.name else "somebody"
        return f"{named} ({self.kind} {self.id}, {self.role})"


class AuditEntry(_Kept):
    """One action. `of` is the id of the entry that was written before it, if this is the one after it.

    `count` is the number of jobs, None if it is not known; `ids` are the first of theirs.
    """

    who: Who
    address: str
    action: str
    queue: str | None = None
    ids: list[str] = Field(default_factory=list[str])
    count: int | None = None
    filter: str | None = None
    outcome: str = STARTED
    request_id: str | None = None
    of: str | None = None

    def bounded(self) -> AuditEntry:
        """Return the entry with its texts in one line, and cut."""
        ids = [one_line(id, MAX_ID) for id in self.ids[:MAX_IDS]]
        chosen = None if self.filter is None else one_line(self.filter, MAX_FILTER)
        return self.model_copy(update={"ids": ids, "filter": chosen})

    def matches(self, *, who: str | None, action: str | None, queue: str | None) -> bool:
        """Return whether the entry is of that caller (the id, name or role of a key), action and queue."""
        return (
            (who is None or who in (self.who.id, self.who.name, self.who.role))
            and (action is None or action == self.action)
            and (queue is None or queue == self.queue)
        )

    def __str__(self) -> str:
        parts = [
            f"{self.who} from {self.address or 'an unknown address'}: {self.action}",
            self.queue or "",
            " ".join(self.ids),
            "" if self.count is None else f"{self.count} jobs",
            self.filter or "",
        ]
        return f"{' '.join(part for part in parts if part)}: {self.outcome}"


class ShownEntry(t.NamedTuple):
    """An entry as it is in the log: its id, and when it was written (ms since the epoch, by Redis's clock)."""

    id: str
    at: int
    entry: AuditEntry
