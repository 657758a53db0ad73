"""Where the jobs of a queue are kept, and the places there."""

from __future__ import annotations

import typing as t

from ...scripts.scripts import fields_of


class Source(t.NamedTuple):
    """Where BullMQ keeps the jobs of a state: a list, or a sorted set. The scores of finished jobs are times."""

    name: str
    state: str
    is_list: bool = False
    is_finished: bool = False


SOURCES = (
    Source("failed", "failed", is_finished=True),
    Source("active", "active", is_list=True),
    Source("wait", "waiting", is_list=True),
    Source("paused", "waiting", is_list=True),
    Source("prioritized", "prioritized"),
    Source("delayed", "delayed"),
    Source("waiting-children", "waiting-children"),
    Source("completed", "completed", is_finished=True),
)
"""All of them, in the order of a search."""


class ScanPlace(t.NamedTuple):
    """Behind which job a page begins: in a set by score and id, in a list by position and the ids before it."""

    score: str = "+inf"
    id: str = ""
    start: int = 0
    anchors: tuple[str, ...] = ()


class Hit(t.NamedTuple):
    """A job that may match, with the score that it has in its set, and its hash or the fields that were read."""

    id: str
    score: str
    flat: list[str]

    @property
    def fields(self) -> dict[str, str]:
        """The fields of the job."""
        return fields_of(self.flat)
