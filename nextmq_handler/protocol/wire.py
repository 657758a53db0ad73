"""Delivery and outcome: bytes <-> objects, for both halves (protocol sections 2 and 3)."""

from __future__ import annotations

import typing as t

from ..errors import NextMQError
from . import strict_json
from .arguments import MAX_RATE_LIMIT_MS, MAX_TIMESTAMP_MS

if t.TYPE_CHECKING:
    from .delivered import DeliveredJob

MAX_BODY_SIZE = 10 * 1024 * 1024
"""The largest delivery, in bytes, that a receiver accepts by default (section 2)."""

MAX_OUTCOME_SIZE = 1024 * 1024
"""The largest outcome, in bytes, that a server accepts by default (section 2)."""

MAX_MESSAGE_SIZE = 4 * 1024
MAX_STACK_SIZE = 20 * 1024

_MAX_INTEGER = 2**53


class WireError(NextMQError):
    """A signed message whose content breaks the protocol. The error's text says how."""


class JobRecord:
    """The `job` member of a delivery, checked. Times are ms since the epoch, durations ms (section 2)."""

    def __init__(self, raw: dict[str, t.Any]) -> None:
        self.id: str = _text("job.id", raw.get("id"))
        self.name: str = _text("job.name", raw.get("name"))
        self.data: t.Any = raw.get("data")
        self.opts: dict[str, t.Any] = _object("job.opts", raw.get("opts", {}))
        self.attempts_made: int = _integer("job.attemptsMade", raw.get("attemptsMade", 0))
        self.attempts_started: int = _integer("job.attemptsStarted", raw.get("attemptsStarted", 1))
        self.stalled_counter: int = _integer("job.stalledCounter", raw.get("stalledCounter", 0))
        self.priority: int = _integer("job.priority", raw.get("priority", 0))
        self.delay: int = _integer("job.delay", raw.get("delay", 0))
        self.timestamp: int = _integer("job.timestamp", raw.get("timestamp", 0))
        self.processed_on: int = _integer("job.processedOn", raw.get("processedOn", 0))
        self.progress: t.Any = raw.get("progress", 0)
        self.parent: dict[str, str] | None = _parent(raw.get("parent"))


class Delivery:
    """One delivery, checked. `timeout` is how long, in ms, the server waits for its answer (section 2)."""

    def __init__(self, raw: dict[str, t.Any]) -> None:
        self.id: str = _text("deliveryId", raw.get("deliveryId"))
        self.queue: str = _text("queue", raw.get("queue"))
        self.timeout: int = _integer("timeout", raw.get("timeout"), low=1)
        self.max_outcome_size: int = _integer("maxOutcomeBytes", raw.get("maxOutcomeBytes", MAX_OUTCOME_SIZE))
        self.fingerprint: str = _fingerprint(raw.get("worker"))
        self.job: JobRecord = JobRecord(_object("job", raw.get("job")))


def parse_delivery(body: bytes, delivery_id: str) -> Delivery:
    """Return the delivery in `body`, whose header has `delivery_id`. Raises WireError."""
    delivery = Delivery(_parse(body))
    if delivery.id != delivery_id:
        raise WireError("deliveryId is not the one of the header")
    return delivery


def encode_delivery(
    job: DeliveredJob, data: str, *, id: str, queue: str, timeout: int, now: int, fingerprint: str = ""
) -> bytes:
    """Return the body of a delivery (section 2). `data` is the job's data as JSON text, sent as it is.

    `timeout` is ms, `now` ms since the epoch. Raises TypeError or ValueError if a field is not JSON.
    """
    delivery = {
        "deliveryId": id,
        "queue": queue,
        "timeout": timeout,
        "deadline": now + timeout,
        "maxOutcomeBytes": MAX_OUTCOME_SIZE,
        "worker": {"fingerprint": fingerprint},
        "job": {  # the last member, so that the data can go in before the two closing braces
            "id": job.id,
            "name": job.name,
            "opts": job.opts,
            "attemptsMade": job.attempts_made,
            "attemptsStarted": job.attempts_started,
            "stalledCounter": job.stalled_counter,
            "priority": job.priority,
            "delay": job.delay,
            "timestamp": job.timestamp,
            "processedOn": job.processed_on,
            "progress": job.progress,
            "parent": job.parent,
        },
    }
    # A lone surrogate stands for a byte of Redis that is not UTF-8.
    return f'{strict_json.compact(delivery)[:-2]},"data":{data}}}}}'.encode("utf-8", "surrogateescape")


class _Result:
    """What outcomes share: equal if all their fields are. `outcome` is the name on the wire (section 3)."""

    outcome: t.ClassVar[str]

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and vars(other) == vars(self)

    __hash__ = None  # type: ignore[assignment] # a return value may be any JSON

    def __repr__(self) -> str:
        return f"{type(self).__name__}({vars(self)})"


class Completed(_Result):
    """The processor returned. `return_value` is any JSON."""

    outcome = "completed"

    def __init__(self, return_value: t.Any) -> None:
        self.return_value: t.Any = return_value


class Failed(_Result):
    """The attempt failed. `unrecoverable` fails the job now, whatever attempts remain.

    `status` is that of the app's HTTP answer, None if there was no answer. It is not sent.
    """

    outcome = "failed"

    def __init__(
        self, name: str, message: str, stack: str = "", *, unrecoverable: bool = False, status: int | None = None
    ) -> None:
        self.name: str = name
        self.message: str = message
        self.stack: str = stack
        self.unrecoverable: bool = unrecoverable
        self.status: int | None = status

    @property
    def reason(self) -> str:
        """The job's `failedReason`."""
        return f"{self.name}: {self.message}" if self.message else self.name


class RateLimited(_Result):
    """The queue starts no job for `delay` ms. The job is put back; no attempt is used."""

    outcome = "rateLimited"

    def __init__(self, delay: int) -> None:
        self.delay: int = delay


class Delayed(_Result):
    """The job runs again at `timestamp`, ms since the epoch; no attempt is used."""

    outcome = "delayed"

    def __init__(self, timestamp: int) -> None:
        self.timestamp: int = timestamp


class WaitingChildren(_Result):
    """The job waits for its open children. No attempt is used."""

    outcome = "waitingChildren"


Outcome = Completed | Failed | RateLimited | Delayed | WaitingChildren


def encode_outcome(outcome: Outcome, *, max_size: int = MAX_OUTCOME_SIZE) -> bytes:
    """Return the body of an outcome (section 3).

    A return value that JSON cannot carry, or a body over `max_size` bytes, becomes the unrecoverable failure
    `ReturnValueError`: the work is done, and running it again would not help.
    """
    try:
        body = strict_json.dumps(_outcome_object(outcome))
    except Exception as exc:  # noqa: BLE001 - the processor's own mapping may raise anything
        return _return_value_error(f"the return value is not JSON: {exc}")
    if len(body) <= max_size:
        return body
    if isinstance(outcome, Failed):
        shortened = Failed(outcome.name[:100], outcome.message[:200], unrecoverable=outcome.unrecoverable)
        return strict_json.dumps(_outcome_object(shortened))
    return _return_value_error(
        f"the outcome is {len(body)} bytes, over the server's limit of {max_size}: "
        "store the result elsewhere and return a reference to it"
    )


def parse_outcome(body: bytes) -> Outcome:
    """Return the outcome in `body` (section 3). Raises WireError."""
    raw = _parse(body)
    kind = raw.get("outcome")
    if kind == "completed":
        return Completed(raw.get("returnValue"))
    if kind == "failed":
        error = _object("error", raw.get("error", {}))
        return Failed(
            _clipped(error.get("name"), MAX_MESSAGE_SIZE) or "Error",
            _clipped(error.get("message"), MAX_MESSAGE_SIZE),
            _clipped(error.get("stack"), MAX_STACK_SIZE),
            unrecoverable=raw.get("unrecoverable") is True,
        )
    if kind == "rateLimited":
        return RateLimited(_integer("delay", raw.get("delay"), low=1, high=MAX_RATE_LIMIT_MS))
    if kind == "delayed":
        return Delayed(_integer("timestamp", raw.get("timestamp"), high=MAX_TIMESTAMP_MS - 1))
    if kind == "waitingChildren":
        return WaitingChildren()
    raise WireError("outcome is none of completed, failed, rateLimited, delayed, waitingChildren")


def clip(text: str, size: int) -> str:
    """Cut `text` to at most `size` bytes of UTF-8, and replace lone surrogates."""
    raw = text.encode("utf-8", "replace")
    return raw[:size].decode("utf-8", "ignore")


def _outcome_object(outcome: Outcome) -> dict[str, t.Any]:
    content: dict[str, t.Any] = {"outcome": outcome.outcome}
    match outcome:
        case Completed():
            content["returnValue"] = outcome.return_value
        case Failed():
            if outcome.unrecoverable:
                content["unrecoverable"] = True
            content["error"] = {
                "name": clip(outcome.name, MAX_MESSAGE_SIZE),
                "message": clip(outcome.message, MAX_MESSAGE_SIZE),
                "stack": clip(outcome.stack, MAX_STACK_SIZE),
            }
        case RateLimited():
            content["delay"] = outcome.delay
        case Delayed():
            content["timestamp"] = outcome.timestamp
        case WaitingChildren():
            pass
        case _:
            t.assert_never(outcome)
    return content


def _return_value_error(message: str) -> bytes:
    return strict_json.dumps(_outcome_object(Failed("ReturnValueError", message, unrecoverable=True)))


def _parse(body: bytes) -> dict[str, t.Any]:
    try:
        return _object("the body", strict_json.loads(body))
    except ValueError as exc:
        # A decoder's exception holds the input, and its text may quote it.
        raise WireError(f"the body is not strict JSON ({type(exc).__name__})") from None


def _object(name: str, value: object) -> dict[str, t.Any]:
    if not isinstance(value, dict):
        raise WireError(f"{name} is not an object")
    return t.cast("dict[str, t.Any]", value)


def _text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise WireError(f"{name} is not a string")
    return value


def _integer(name: str, value: object, *, low: int = 0, high: int = _MAX_INTEGER) -> int:
    if type(value) is int and low <= value <= high:
        return value
    reason = f"between {low} and {high}" if type(value) is int else "a whole number"
    raise WireError(f"{name} is not {reason}")


def _parent(value: object) -> dict[str, str] | None:
    if value is None:
        return None
    raw = _object("job.parent", value)
    return {
        "id": _text("job.parent.id", raw.get("id")),
        "queue": _text("job.parent.queue", raw.get("queue")),
    }


def _fingerprint(worker: object) -> str:
    if worker is None:
        return ""
    return _text("worker.fingerprint", _object("worker", worker).get("fingerprint", ""))


def _clipped(value: object, size: int) -> str:
    return clip(value, size) if isinstance(value, str) else ""
