"""Jobs for tests: they record what a processor sends to the server, and call no server."""

from __future__ import annotations

import json
import time
import typing as t
from types import SimpleNamespace

from ..client._http.content import encode
from ..job import JobBase
from ..protocol.wire import Delivery, JobRecord, encode_delivery, parse_delivery
from ..receiver.answered import AnsweredAsyncJob, AnsweredJob, Answering
from ..settings import ServerConnection, Settings

if t.TYPE_CHECKING:
    from ..client._http.call import Options

T = t.TypeVar("T")

_NOBODY = Settings(ServerConnection("http://localhost", "test", "key", "secret"), None, ())
_DEFAULTS: dict[str, t.Any] = {"queue_name": "test", "delivery_id": "dlv_test", "timeout": 30.0}


class Fields(t.TypedDict, total=False):
    """The fields of a test's job beside its data. Times are ms since the epoch, durations ms, as in Job.

    `opts` has BullMQ's own names, as in Job. `timeout` (s) is how long the job has if you call its processor
    yourself; `run` uses the worker's. `children_values`, `ignored_failures`, `unprocessed` and `failed` say what
    its children did, by "queue:id": get_children_values(), get_dependencies() and the like answer from them.
    """

    name: str
    id: str
    opts: dict[str, t.Any]
    attempts_made: int
    attempts_started: int
    stalled_counter: int
    priority: int
    delay: int
    timestamp: int
    processed_on: int
    progress: t.Any
    parent: dict[str, str] | None
    queue_name: str
    delivery_id: str
    timeout: float
    children_values: t.Mapping[str, t.Any]
    ignored_failures: t.Mapping[str, str]
    unprocessed: t.Sequence[str]
    failed: t.Sequence[str]


class _Recorded(Answering[T]):
    """A job that records its processor's calls."""

    def __init__(self, data: T, fields: Fields) -> None:
        now = round(time.time() * 1000)
        self.logs: list[str] = []
        """The rows of the job's log."""
        self.progress_updates: list[t.Any] = []
        """Each progress that the processor stored, in order."""
        self.data_updates: list[t.Any] = []
        """Each data that the processor stored, in order, as the JSON that the server keeps."""
        self._children_values = dict(fields.get("children_values", {}))
        self._ignored_failures = dict(fields.get("ignored_failures", {}))
        self._unprocessed = list(fields.get("unprocessed", ()))
        self._failed = list(fields.get("failed", ()))
        record = JobRecord({"id": "1", "name": "test", "timestamp": now, "processedOn": now})
        record.attempts_started = fields.get("attempts_made", 0) + 1
        values: dict[str, t.Any] = {**vars(record), **_DEFAULTS, **fields}
        fields_only: t.Any = SimpleNamespace(**values)
        body = encode_delivery(
            fields_only,
            "null",
            id=values["delivery_id"],
            queue=values["queue_name"],
            timeout=round(values["timeout"] * 1000),
            now=now,
        )
        delivery = parse_delivery(body, values["delivery_id"])
        super().__init__(delivery, _NOBODY, deadline=time.monotonic() + delivery.timeout / 1000)
        self.data: T = data

    def to_wire(self, queue: str, *, timeout: int) -> bytes:
        """Return the body of a delivery of this job (protocol section 2). `timeout` is ms."""
        now, data = round(time.time() * 1000), encode(self.data).decode()
        return encode_delivery(self, data, id=self.delivery_id, queue=queue, timeout=timeout, now=now)

    def begin(self, delivery: Delivery, *, deadline: float) -> None:
        """Become the job of `delivery`, and keep what was recorded. `deadline` is monotonic s."""
        JobBase.__init__(self, delivery, _NOBODY, deadline=deadline)

    def _answer(self, method: str, path: tuple[str, ...], options: Options) -> t.Any:
        """Record a call, and answer as the server would."""
        self._caller()  # raises if the delivery was answered already
        content: t.Any = json.loads(encode(options.get("content")))
        if (method, path) == ("PUT", ("progress",)):
            self.progress_updates.append(content["progress"])
        elif (method, path) == ("PUT", ("data",)):
            self.data_updates.append(content["data"])
        elif (method, path) == ("POST", ("logs",)):
            self.logs.append(content["row"])
            self._keep_logs(content["keepLogs"])
        elif (method, path) == ("DELETE", ("logs",)):
            self._keep_logs(int(t.cast("t.Any", options.get("query"))["keep"]))
        elif (method, path) == ("DELETE", ("children",)):
            self._unprocessed.clear()
        return self._view()

    def _keep_logs(self, count: int | None) -> None:
        if count is not None:
            self.logs[:] = self.logs[-count:] if count else []

    def _view(self) -> dict[str, t.Any]:
        """Return the members of every answer in one: each reader takes its own."""
        children = {
            "processed": self._children_values,
            "unprocessed": self._unprocessed,
            "ignored": self._ignored_failures,
            "failed": self._failed,
        }
        return {
            "count": len(self.logs),
            "values": self._children_values,
            "failures": self._ignored_failures,
            **children,
            "counts": {kind: len(members) for kind, members in children.items()},
        }


class RecordedJob(_Recorded[T], AnsweredJob[T]):
    """A Job for tests. `logs`, `progress_updates` and `data_updates` hold what its processor told the server."""


class RecordedAsyncJob(_Recorded[T], AnsweredAsyncJob[T]):
    """An AsyncJob for tests, as RecordedJob is a Job."""


def make_job(data: T, **fields: t.Unpack[Fields]) -> RecordedJob[T]:
    """Make the job of a `def` processor, for `run` or your own call: `make_job({"to": "a@b.c"}, attempts_made=2)`.

    Raises ConfigurationError for a field that cannot be sent as JSON, WireError for one of a wrong type.
    """
    return RecordedJob(data, fields)


def make_async_job(data: T, **fields: t.Unpack[Fields]) -> RecordedAsyncJob[T]:
    """Make the job of an `async def` processor, as `make_job` does."""
    return RecordedAsyncJob(data, fields)
