"""A delivery: bytes <-> objects, for both halves (protocol section 2). Outcomes are in `outcomes`."""

from __future__ import annotations

import typing as t

from ..errors import NextMQError
from . import strict_json

if t.TYPE_CHECKING:
    from .delivered import DeliveredJob

MAX_BODY_SIZE = 10 * 1024 * 1024
"""The largest delivery, in bytes, that a receiver accepts by default (section 2)."""

MAX_OUTCOME_SIZE = 1024 * 1024
"""The largest outcome, in bytes, that a server accepts by default (section 2)."""

_MAX_INTEGER = 2**53
_REPLAY = {"replay": True}


class WireError(NextMQError):
    """A signed message whose content breaks the protocol. The error's text says how."""


class UnfitData(NextMQError):
    """A job's data is not JSON, so no delivery can carry it. Any client of Redis may have written it."""


class JobRecord:
    """The `job` member of a delivery, checked. Times are ms since the epoch, durations ms (section 2)."""

    def __init__(self, raw: dict[str, t.Any]) -> None:
        self.id: str = as_text("job.id", raw.get("id"))
        self.name: str = as_text("job.name", raw.get("name"))
        self.data: t.Any = raw.get("data")
        self.opts: dict[str, t.Any] = as_object("job.opts", raw.get("opts", {}))
        self.attempts_made: int = as_integer("job.attemptsMade", raw.get("attemptsMade", 0))
        self.attempts_started: int = as_integer("job.attemptsStarted", raw.get("attemptsStarted", 1))
        self.stalled_counter: int = as_integer("job.stalledCounter", raw.get("stalledCounter", 0))
        self.priority: int = as_integer("job.priority", raw.get("priority", 0))
        self.delay: int = as_integer("job.delay", raw.get("delay", 0))
        self.timestamp: int = as_integer("job.timestamp", raw.get("timestamp", 0))
        self.processed_on: int = as_integer("job.processedOn", raw.get("processedOn", 0))
        self.progress: t.Any = raw.get("progress", 0)
        self.parent: dict[str, str] | None = _parent(raw.get("parent"))


class Delivery:
    """One delivery, checked. `timeout` is how long, in ms, the server waits for its answer (section 2).

    `is_replay`: a person sends a copy of a job to an app, and nothing is finished.
    """

    def __init__(self, raw: dict[str, t.Any]) -> None:
        self.id: str = as_text("deliveryId", raw.get("deliveryId"))
        self.queue: str = as_text("queue", raw.get("queue"))
        self.timeout: int = as_integer("timeout", raw.get("timeout"), low=1)
        self.max_outcome_size: int = as_integer("maxOutcomeBytes", raw.get("maxOutcomeBytes", MAX_OUTCOME_SIZE))
        self.fingerprint: str = _fingerprint(raw.get("worker"))
        self.is_replay: bool = raw.get("replay") is True
        self.job: JobRecord = JobRecord(as_object("job", raw.get("job")))


def parse_delivery(body: bytes, delivery_id: str) -> Delivery:
    """Return the delivery in `body`, whose header has `delivery_id`. Raises WireError."""
    delivery = Delivery(read_body(body))
    if delivery.id != delivery_id:
        raise WireError("deliveryId is not the one of the header")
    return delivery


def encode_delivery(
    job: DeliveredJob,
    data: str,
    *,
    id: str,
    queue: str,
    timeout: int,
    now: int,
    fingerprint: str = "",
    is_replay: bool = False,
) -> bytes:
    """Return the body of a delivery (section 2). `data` is the job's data as JSON text, sent as it is.

    `timeout` is ms, `now` ms since the epoch. Raises UnfitData if `data` is not exactly one JSON value, TypeError
    or ValueError if another field is not JSON.
    """
    raw_data = _checked(data)
    delivery = {
        "deliveryId": id,
        "queue": queue,
        "timeout": timeout,
        "deadline": now + timeout,
        "maxOutcomeBytes": MAX_OUTCOME_SIZE,
        "worker": {"fingerprint": fingerprint},
        **(_REPLAY if is_replay else {}),
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
    return b'%b,"data":%b}}' % (strict_json.compact(delivery)[:-2].encode("ascii"), raw_data)


def _checked(data: str) -> bytes:
    # Text that ends the value early would add members to the signed body, such as another job's id.
    try:
        strict_json.parse(data)
        return data.encode("utf-8")  # a lone surrogate stands for a byte of Redis that is not UTF-8
    except ValueError:
        raise UnfitData(
            "the job's data is not JSON, as a client of Redis wrote it: add the job again with data that is JSON"
        ) from None


def read_body(body: bytes) -> dict[str, t.Any]:
    """Return the JSON object in `body`. Raises WireError, which quotes nothing of it."""
    try:
        return as_object("the body", strict_json.loads(body))
    except ValueError as exc:
        # A decoder's exception holds the input, and its text may quote it.
        raise WireError(f"the body is not strict JSON ({type(exc).__name__})") from None


def as_object(name: str, value: object) -> dict[str, t.Any]:
    """Return `value` if it is an object. Raises WireError, which names `name`."""
    if not isinstance(value, dict):
        raise WireError(f"{name} is not an object")
    return t.cast("dict[str, t.Any]", value)


def as_text(name: str, value: object) -> str:
    """Return `value` if it is a string. Raises WireError, which names `name`."""
    if not isinstance(value, str):
        raise WireError(f"{name} is not a string")
    return value


def as_integer(name: str, value: object, *, low: int = 0, high: int = _MAX_INTEGER) -> int:
    """Return `value` if it is a whole number from `low` to `high`. Raises WireError, which names `name`."""
    if type(value) is int and low <= value <= high:
        return value
    reason = f"between {low} and {high}" if type(value) is int else "a whole number"
    raise WireError(f"{name} is not {reason}")


def _parent(value: object) -> dict[str, str] | None:
    if value is None:
        return None
    raw = as_object("job.parent", value)
    return {
        "id": as_text("job.parent.id", raw.get("id")),
        "queue": as_text("job.parent.queue", raw.get("queue")),
    }


def _fingerprint(worker: object) -> str:
    if worker is None:
        return ""
    return as_text("worker.fingerprint", as_object("worker", worker).get("fingerprint", ""))
