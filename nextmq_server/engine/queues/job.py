"""A job that this server has fetched: BullMQ's hash of it, read once."""

from __future__ import annotations

import functools
import typing as t

from nextmq_handler.protocol import strict_json
from nextmq_handler.protocol.outcomes import Failed
from nextmq_handler.rules.attempts import allowed_attempts
from nextmq_handler.rules.delivery_log import DeliveryEntry
from nextmq_handler.rules.views import ParentView

from ..scripts.packers import long_names
from .delivery_log import FIELD, appended
from .faulty_options import faults, in_words

MAX_KNOWN = 256
"""How many different texts of job options are kept read: most jobs of a queue have the same."""

MAX_KNOWN_SIZE = 512
"""The longest such text, in characters."""


class EngineJob:
    """A job that was fetched and is locked with `token`. `data` stays JSON text, as the delivery sends it.

    `opts` are those of other jobs too: they must not be changed.

    `is_answered`: the delivery has an answer, which must not get lost. `changes` are fields of its hash that its
    next move sets. `fault` says why the job cannot run as its options say, if it cannot.
    """

    def __init__(self, job_id: str, fields: dict[str, str], token: str) -> None:
        self.id = job_id
        self.fields = fields
        self.token = token
        self.next_token = _following(token)
        """The lock token of the job that the end of this one may fetch: no two starts have the same."""
        self.is_answered = False
        self.changes: dict[str, str] = {}
        self.name = fields.get("name", "")
        self.data = fields.get("data") or "null"
        opts = fields.get("opts") or "{}"
        self.opts, self.fault = _options(opts) if len(opts) > MAX_KNOWN_SIZE else _known_options(opts)
        self.attempts_made = _integer(fields, "atm") or _integer(fields, "attemptsMade")
        self.attempts_started = _integer(fields, "ats")
        self.stalled_counter = _integer(fields, "stc")
        self.priority = _integer(fields, "priority")
        self.delay = _integer(fields, "delay")
        self.timestamp = _integer(fields, "timestamp")
        self.processed_on = _integer(fields, "processedOn")
        self.deferred_failure = fields.get("defa")
        self.scheduler_id = fields.get("rjk")

    def note_delivery(self, entry: DeliveryEntry) -> None:
        """Add a delivery to the job's log."""
        self.changes[FIELD] = appended(self.fields.get(FIELD), entry)

    @property
    def attempts(self) -> int:
        """How many attempts the job may use."""
        return allowed_attempts(self.opts)

    def is_last_attempt(self, failure: Failed) -> bool:
        """Return whether the job fails for good with this failure."""
        return failure.unrecoverable or self.attempts_made + 1 >= self.attempts

    @property
    def progress(self) -> t.Any:
        """The progress that was stored last."""
        stored = self.fields.get("progress")
        return _read(stored) if stored else 0

    @property
    def stacktrace(self) -> list[str]:
        """The stack traces of earlier attempts."""
        stored = self.fields.get("stacktrace")
        return lines_of(_read(stored)) if stored else []

    @property
    def parent(self) -> ParentView | None:
        """The id of the job's parent in a flow, and the name of the parent's queue."""
        stored = self.fields.get("parent")
        return parent_of(_read(stored), "queueKey") if stored else None


def parent_of(stored: object, queue: t.Literal["queueKey", "queue"]) -> ParentView | None:
    """Return a parent's id and the name of its queue. The member `queue` of `stored` is the queue's full name."""
    parent = t.cast("dict[str, object]", stored) if isinstance(stored, dict) else {}
    if "id" not in parent or queue not in parent:
        return None
    return {"id": str(parent["id"]), "queue": str(parent[queue]).rpartition(":")[2]}


def lines_of(stored: object) -> list[str]:
    """Return a stack trace from what Redis holds; [] if that is not a list."""
    return [str(line) for line in t.cast("list[object]", stored)] if isinstance(stored, list) else []


def whole(text: str | None) -> int | None:
    """Return a whole number from what Redis holds; None if that is not a number."""
    # Node writes what the producer gave, which may be 1.5 or 1e3.
    try:
        return None if text is None else int(float(text))
    except (ValueError, OverflowError):
        return None


def _read(text: str) -> object:
    """Return the value of JSON in Redis; None if it is not JSON, as any client may have written there."""
    try:
        return strict_json.parse(text)
    except ValueError:
        return None


def _options(text: str) -> tuple[dict[str, t.Any], str]:
    """Return the job options that the engine can use, and why it cannot use the others."""
    stored = _read(text)
    if not isinstance(stored, dict):
        return {}, "its options are not a JSON object"
    opts = long_names(t.cast("object", stored))
    found = faults(opts)
    if not found:
        return opts, ""
    return {name: value for name, value in opts.items() if name not in found}, in_words(opts, found)


_known_options = functools.lru_cache(MAX_KNOWN)(_options)
_MANY_DIGITS = 16


def _following(token: str) -> str:
    first, _, number = token.partition(".")
    return f"{first}.{int(number or 0) + 1}"


def _integer(fields: dict[str, str], name: str) -> int:
    text = fields.get(name)
    if text is None or text == "0":
        return 0
    return int(text) if text.isdecimal() and len(text) < _MANY_DIGITS else whole(text) or 0
