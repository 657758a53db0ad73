"""A job that this server holds active: BullMQ's hash, read once."""

from __future__ import annotations

import typing as t

from bullmq import job as bullmq_job

from nextmq_handler.protocol import strict_json
from nextmq_handler.rules.delivery_log import DeliveryEntry

from ..verdicts import Fail
from .delivery_log import FIELD, appended
from .faulty_options import faults, in_words

_decode: t.Callable[[dict[str, t.Any]], dict[str, t.Any]] = t.cast("t.Any", bullmq_job).optsFromJSON


def long_names(stored: object) -> dict[str, t.Any]:
    """Job options as clients spell them, from how Redis holds them: none where that is no object."""
    if not isinstance(stored, dict):
        return {}
    opts = _decode(t.cast("dict[str, t.Any]", stored))
    telemetry = {"metadata": opts.pop("tm", None), "omitContext": opts.pop("omc", None)}
    telemetry = {name: value for name, value in telemetry.items() if value is not None}
    return {**opts, "telemetry": telemetry} if telemetry else opts


def short_names(opts: dict[str, t.Any]) -> dict[str, t.Any]:
    """Job options with the telemetry as Redis holds it; bullmq's packers know the other short names."""
    if "telemetry" not in opts:
        return opts
    telemetry = opts["telemetry"]
    stored = {"tm": telemetry.get("metadata"), "omc": telemetry.get("omitContext")}
    rest = {name: value for name, value in opts.items() if name != "telemetry"}
    return {**rest, **{name: value for name, value in stored.items() if value is not None}}


class HasOptions(t.Protocol):
    """What bullmq's packers read of a queue: its worker options."""

    @property
    def opts(self) -> dict[str, t.Any]:
        """The worker options in bullmq's spelling."""
        ...


class EngineJob:
    """The job of one start. `data` stays JSON text, passed through to the delivery as it is.

    `is_answered`: its delivery has an answer, which must not get lost. `changes` are fields that go into its hash
    with its next move. `fault` says why the job cannot be run as its options say, where it cannot.

    The camelCase attributes are the ones that bullmq's argument packers read of a job.
    """

    def __init__(self, queue: HasOptions, job_id: str, fields: dict[str, str], token: str) -> None:
        self.queue = queue
        self.id = job_id
        self.fields = fields
        self.token = token
        self.is_answered = False
        self.changes: dict[str, str] = {}
        self.name = fields.get("name", "")
        self.data = fields.get("data") or "null"
        self.opts, self.fault = _options(fields.get("opts") or "{}")
        self.attemptsMade = _integer(fields, "atm") or _integer(fields, "attemptsMade")
        self.attempts_started = _integer(fields, "ats")
        self.stalled_counter = _integer(fields, "stc")
        self.priority = _integer(fields, "priority")
        self.delay = _integer(fields, "delay")
        self.timestamp = _integer(fields, "timestamp")
        self.processed_on = _integer(fields, "processedOn")
        self.deferred_failure = fields.get("defa")
        self.scheduler_id = fields.get("rjk")

    def note_delivery(self, entry: DeliveryEntry) -> None:
        """Keep a delivery of this start with the job."""
        self.changes[FIELD] = appended(self.fields.get(FIELD), entry)

    @property
    def attempts_made(self) -> int:
        """How many attempts were used before this one."""
        return self.attemptsMade

    @property
    def attempts(self) -> int:
        """How many attempts the job may burn."""
        return int(self.opts.get("attempts") or 1)

    def is_last_attempt(self, failure: Fail) -> bool:
        """Whether the job ends failed with this failure."""
        return failure.unrecoverable or self.attemptsMade + 1 >= self.attempts

    @property
    def progress(self) -> t.Any:
        """The progress that was stored last."""
        stored = self.fields.get("progress")
        return _read(stored) if stored else 0

    @property
    def stacktrace(self) -> list[str]:
        """How earlier attempts failed."""
        stored = self.fields.get("stacktrace")
        return lines_of(_read(stored)) if stored else []

    @property
    def parent(self) -> dict[str, str] | None:
        """The parent in a flow: its id and the name of its queue."""
        stored = self.fields.get("parent")
        return parent_of(_read(stored), "queueKey") if stored else None


def parent_of(stored: object, queue: t.Literal["queueKey", "queue"]) -> dict[str, str] | None:
    """A parent's id and the name of its queue, whose full name is the member `queue`."""
    parent = t.cast("dict[str, object]", stored) if isinstance(stored, dict) else {}
    if "id" not in parent or queue not in parent:
        return None
    return {"id": str(parent["id"]), "queue": str(parent[queue]).rpartition(":")[2]}


def lines_of(stored: object) -> list[str]:
    """A stack trace as Redis holds it; empty where it holds something else."""
    return [str(line) for line in t.cast("list[object]", stored)] if isinstance(stored, list) else []


def whole(text: str | None) -> int | None:
    """A whole number as Redis holds it; None for none, and for what is no number."""
    # Node writes what the producer gave, which may be 1.5 or 1e3.
    try:
        return None if text is None else int(float(text))
    except (ValueError, OverflowError):
        return None


def _read(text: str) -> object:
    """JSON of Redis; None for what is none, which any client may have written there."""
    try:
        return strict_json.parse(text)
    except ValueError:
        return None


def _options(text: str) -> tuple[dict[str, t.Any], str]:
    """Those of a job's options that can be carried out, and why the others cannot."""
    stored = _read(text)
    if not isinstance(stored, dict):
        return {}, "its options are no JSON object"
    opts = long_names(t.cast("object", stored))
    found = faults(opts)
    if not found:
        return opts, ""
    return {name: value for name, value in opts.items() if name not in found}, in_words(opts, found)


_MANY_DIGITS = 16


def _integer(fields: dict[str, str], name: str) -> int:
    text = fields.get(name, "0")
    return int(text) if text.isdecimal() and len(text) < _MANY_DIGITS else whole(text) or 0
