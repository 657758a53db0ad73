"""A producer's job without its calls: what the server said about it last."""

from __future__ import annotations

import typing as t
from functools import cached_property

from .generics import ANY, Data, Result, Typed, Types
from .remote import Caller, Remote
from .views import JobDelivery, JobLock, JobState


class _Unchanged:
    def __repr__(self) -> str:
        return "UNCHANGED"


UNCHANGED: t.Any = _Unchanged()
"""The default of an argument whose every value, None too, would change something."""


class JobFields(Typed[Data, Result]):
    """The fields of a producer's job, whose data and result are validated when they are first read."""

    def __init__(self, view: dict[str, t.Any], *, queue_name: str, remote: Remote, types: Types = ANY) -> None:
        self.queue_name = queue_name
        self.id: str = view["id"]
        self.deduplicated: bool = view.get("deduplicated", False)
        self._remote = remote
        self._types = types
        self._read(view)

    def _read(self, view: dict[str, t.Any]) -> None:
        self.name: str = view["name"]
        self.state: JobState = view["state"]
        self.opts: dict[str, t.Any] = view.get("opts") or {}
        self.progress: t.Any = view.get("progress")
        self.attempts_made: int = view.get("attemptsMade", 0)
        self.attempts_started: int = view.get("attemptsStarted", 0)
        self.stalled_counter: int = view.get("stalledCounter", 0)
        self.delay: int = view.get("delay", 0)
        self.priority: int = view.get("priority", 0)
        self.failed_reason: str | None = view.get("failedReason")
        self.stacktrace: list[str] = view.get("stacktrace") or []
        self.deliveries: list[JobDelivery] = view.get("deliveries") or []
        self.deliveries_count: int = view.get("deliveriesCount", len(self.deliveries))
        self.lock: JobLock | None = view.get("lock")
        self.parent: dict[str, str] | None = view.get("parent")
        self.repeat_job_key: str | None = view.get("repeatJobKey")
        self.deduplication_id: str | None = view.get("deduplicationId")
        self.timestamp: int = view["timestamp"]
        self.processed_on: int | None = view.get("processedOn")
        self.finished_on: int | None = view.get("finishedOn")
        self._data = view["data"]
        self._return_value = view.get("returnValue")
        self._forget_loaded()

    def _read_result(self, answer: t.Any) -> None:
        self.state = answer["state"]
        self.failed_reason = answer["failedReason"]
        self.stacktrace = answer["stacktrace"] or []
        self.finished_on = answer["finishedOn"]
        self._return_value = answer["returnValue"]
        self._forget_loaded()

    @cached_property
    def data(self) -> Data:
        """The data, validated into the queue's type. Raises DataError if it does not fit."""
        return t.cast(Data, self._types.load_data(self._data))

    @cached_property
    def return_value(self) -> Result | None:
        """What the processor returned, validated into the queue's type; None before. Raises DataError."""
        if self.state != "completed" and self._return_value is None:
            return None
        return t.cast(Result, self._types.load_result(self._return_value))

    def _caller(self) -> Caller:
        return self._remote.caller()

    def _wait_again(self) -> None:
        self.failed_reason = self.finished_on = self.processed_on = self._return_value = None
        self.state = "waiting"
        self._forget_loaded()

    def _update(self, **fields: t.Any) -> None:
        vars(self).update(fields)

    def _forget_loaded(self) -> None:
        self.__dict__.pop("data", None)
        self.__dict__.pop("return_value", None)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.queue_name}/{self.id} {self.name!r} {self.state}>"
