"""The rows of protocol section 3: what a processor does, sync and async, and the outcome that its answer is."""

from __future__ import annotations

import dataclasses
import typing as t

from nextmq_server.conformance.cases import Trait

from .support import QUEUES, delivery


@dataclasses.dataclass(frozen=True)
class Row:
    """A job called `job` for queue `queue`, and its outcome where stacks are not exposed."""

    name: str
    queue: str
    job: str
    outcome: dict[str, t.Any]
    data: t.Any = None
    changes: dict[str, t.Any] = dataclasses.field(default_factory=dict)
    traits: frozenset[Trait] = frozenset()

    def delivery(self) -> dict[str, t.Any]:
        job = {"name": self.job, "data": self.data, **self.changes.get("job", {})}
        return delivery(**{"queue": self.queue, **self.changes, "job": job})


def completed(value: t.Any) -> dict[str, t.Any]:
    return {"outcome": "completed", "returnValue": value}


def failed(name: str, message: str, **more: t.Any) -> dict[str, t.Any]:
    return {"outcome": "failed", **more, "error": {"name": name, "message": message, "stack": ""}}


_NAMES = (
    "echo, measure, none, raise, raise a long text, raise deep down, raise a cause, raise without a text, exit, "
    "unrecoverable, rate limit, rate limit badly, rate limit in a group, delay, delay badly, wait for children, "
    "return bytes, return NaN, return much, describe, trace, order, overrun, meet"
)
_KNOWN = ", ".join(repr(name) for name in _NAMES.split(", "))
_TOO_LARGE = (
    "the outcome is 5040 bytes, over the server's limit of 1000: store the result elsewhere and return a "
    "reference to it"
)
_OVERRUN = "the processor was still running when the delivery's time, 150 ms, was over"
_NOT_JSON = "the return value is not JSON: "


def _rows(queue: str, kind: str) -> t.Iterator[Row]:
    def row(name: str, job_name: str, outcome: dict[str, t.Any], data: t.Any = None, **changes: t.Any) -> Row:
        return Row(f"{name} ({kind})", queue, job_name, outcome, data, changes)

    yield row("returns its data", "echo", completed({"a": [1, None, 0.5]}), {"a": [1, None, 0.5]})
    yield row("returns None", "none", completed(None))
    yield row(
        "sees its job",
        "describe",
        completed(["42", "describe", 3, queue, "dlv_7", {"id": "7", "queue": "orders"}]),
        deliveryId="dlv_7",
        job={"id": "42", "attemptsMade": 3, "parent": {"id": "7", "queue": "orders"}},
    )
    yield row("raises", "raise", failed("ValueError", "no such address: ä☃😀"))
    yield row("raises a long text", "raise a long text", failed("ValueError", "ä" * 2048))
    yield row(
        "raises without a text",
        "raise without a text",
        failed("_WithoutText", "<_WithoutText cannot be shown>"),
    )
    yield row("exits", "exit", failed("SystemExit", "3"))
    yield row(
        "has no entry for the job's name",
        "unknown",
        failed("UnknownJobName", f"queue {queue} has no processor for jobs named 'unknown'; it has {_KNOWN}"),
    )
    yield row(
        "raises UnrecoverableJobError",
        "unrecoverable",
        failed("UnrecoverableJobError", "no such customer", unrecoverable=True),
    )
    yield row("gets data that fits", "order", completed(7), {"number": 7})
    yield row(
        "gets data that fails validation",
        "order",
        failed(
            "DataValidationError",
            "data.number: Input should be a valid integer, unable to parse string as an integer",
            unrecoverable=True,
        ),
        {"number": "seven"},
    )
    yield row("raises RateLimitError", "rate limit", {"outcome": "rateLimited", "delay": 5000})
    yield row(
        "raises RateLimitError in a group", "rate limit in a group", {"outcome": "rateLimited", "delay": 5000}
    )
    yield row(
        "asks for no rate limit",
        "rate limit badly",
        failed("ConfigurationError", "RateLimitError takes 1 to 86400000 ms, not 0"),
    )
    yield row("calls move_to_delayed", "delay", {"outcome": "delayed", "timestamp": 1_790_000_060_000})
    yield row(
        "calls move_to_delayed too late",
        "delay badly",
        failed(
            "ConfigurationError",
            "move_to_delayed takes ms since the epoch, 0 to 2099999999999, not 2100000000000",
        ),
    )
    yield row("calls move_to_waiting_children", "wait for children", {"outcome": "waitingChildren"})
    overrun = row("overruns its deadline", "overrun", failed("DeadlineExceeded", _OVERRUN), timeout=150)
    yield (
        overrun if queue == "awaited" else dataclasses.replace(overrun, traits=frozenset({Trait.ENDING_A_THREAD}))
    )
    yield row(
        "returns bytes",
        "return bytes",
        failed("ReturnValueError", f"{_NOT_JSON}it holds bytes; encode them, in base64 say", unrecoverable=True),
    )
    yield row(
        "returns NaN",
        "return NaN",
        failed("ReturnValueError", f"{_NOT_JSON}it is NaN or an infinity", unrecoverable=True),
    )
    yield row(
        "returns more than maxOutcomeBytes",
        "return much",
        failed("ReturnValueError", _TOO_LARGE, unrecoverable=True),
        maxOutcomeBytes=1000,
    )


ROWS = [row for queue, kind in QUEUES.items() for row in _rows(queue, kind)]
