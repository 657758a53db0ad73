"""What a job must have to be delivered: the server's, the simulator's and a test's jobs have it."""

from __future__ import annotations

import typing as t


class DeliveredJob(t.Protocol):
    """The members of a job that a delivery carries. Times are ms since the epoch, durations ms (section 2)."""

    name: str
    opts: dict[str, t.Any]
    stalled_counter: int
    priority: int
    delay: int
    timestamp: int

    @property
    def id(self) -> str: ...
    @property
    def attempts_made(self) -> int: ...
    @property
    def attempts_started(self) -> int: ...
    @property
    def processed_on(self) -> int | None: ...
    @property
    def progress(self) -> t.Any: ...
    @property
    def parent(self) -> t.Mapping[str, object] | None: ...
