"""Outcomes: what a run of a processor means for its job, as objects and as bytes (protocol section 3).

The receiver makes them, the server's engine carries them out. A new one is a class here, a member of `Outcome`
and its name.
"""

from __future__ import annotations

import typing as t

from . import strict_json
from .arguments import MAX_RATE_LIMIT_MS, MAX_TIMESTAMP_MS
from .user_code import is_interrupt
from .wire import MAX_OUTCOME_SIZE, WireError, as_integer, as_object, read_body

MAX_MESSAGE_SIZE = 4 * 1024
MAX_STACK_SIZE = 20 * 1024
MAX_FINGERPRINT = 64
"""The longest fingerprint of a worker, in characters (section 4)."""


OutcomeName = t.Literal["completed", "failed", "rateLimited", "delayed", "waitingChildren"]


class _Result:
    """What outcomes share: two are equal if all their fields are."""

    outcome: t.ClassVar[OutcomeName]
    """The name on the wire, and in the deliveries of a job."""

    @property
    def detail(self) -> str | None:
        """What people are shown beside the name, if there is more to say."""
        return None

    def members(self) -> dict[str, t.Any]:
        """Return the members of the outcome's body beside its name."""
        return {}

    @classmethod
    def parse(cls, _raw: dict[str, t.Any]) -> t.Self:
        """Read the members of a body. Raises WireError."""
        return cls()

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and vars(other) == vars(self)

    __hash__: t.ClassVar[None] = None  # type: ignore[assignment] # a return value may be any JSON

    def __repr__(self) -> str:
        return f"{type(self).__name__}({vars(self)})"


class Completed(_Result):
    """The processor returned. `return_value` is any JSON."""

    outcome: t.ClassVar[OutcomeName] = "completed"

    def __init__(self, return_value: t.Any) -> None:
        self.return_value: t.Any = return_value

    def members(self) -> dict[str, t.Any]:
        return {"returnValue": self.return_value}

    @classmethod
    def parse(cls, raw: dict[str, t.Any]) -> t.Self:
        return cls(raw.get("returnValue"))


class Failed(_Result):
    """The attempt failed. `unrecoverable` fails the job now, whatever attempts remain.

    `status` is that of the app's HTTP answer, None if there was no answer. It is not sent.
    """

    outcome: t.ClassVar[OutcomeName] = "failed"

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

    @property
    def detail(self) -> str:
        """The reason."""
        return self.reason

    def members(self) -> dict[str, t.Any]:
        error = {
            "name": clip(self.name, MAX_MESSAGE_SIZE),
            "message": clip(self.message, MAX_MESSAGE_SIZE),
            "stack": clip(self.stack, MAX_STACK_SIZE),
        }
        return {"unrecoverable": True, "error": error} if self.unrecoverable else {"error": error}

    @classmethod
    def parse(cls, raw: dict[str, t.Any]) -> t.Self:
        error = as_object("error", raw.get("error", {}))
        return cls(
            _clipped(error.get("name"), MAX_MESSAGE_SIZE) or "Error",
            _clipped(error.get("message"), MAX_MESSAGE_SIZE),
            _clipped(error.get("stack"), MAX_STACK_SIZE),
            unrecoverable=raw.get("unrecoverable") is True,
        )


class RateLimited(_Result):
    """The queue starts no job for `delay` ms. The job is put back; no attempt is used."""

    outcome: t.ClassVar[OutcomeName] = "rateLimited"

    def __init__(self, delay: int) -> None:
        self.delay: int = delay

    @property
    def detail(self) -> str:
        """How long."""
        return f"for {self.delay} ms"

    def members(self) -> dict[str, t.Any]:
        return {"delay": self.delay}

    @classmethod
    def parse(cls, raw: dict[str, t.Any]) -> t.Self:
        return cls(as_integer("delay", raw.get("delay"), low=1, high=MAX_RATE_LIMIT_MS))


class Delayed(_Result):
    """The job runs again at `timestamp`, ms since the epoch; no attempt is used."""

    outcome: t.ClassVar[OutcomeName] = "delayed"

    def __init__(self, timestamp: int) -> None:
        self.timestamp: int = timestamp

    @property
    def detail(self) -> str:
        """Until when."""
        return f"until {self.timestamp}"

    def members(self) -> dict[str, t.Any]:
        return {"timestamp": self.timestamp}

    @classmethod
    def parse(cls, raw: dict[str, t.Any]) -> t.Self:
        return cls(as_integer("timestamp", raw.get("timestamp"), high=MAX_TIMESTAMP_MS - 1))


class WaitingChildren(_Result):
    """The job waits for its open children. No attempt is used."""

    outcome: t.ClassVar[OutcomeName] = "waitingChildren"


Outcome = Completed | Failed | RateLimited | Delayed | WaitingChildren

_KINDS: dict[str, type[Outcome]] = {kind.outcome: kind for kind in t.get_args(Outcome)}


def encode_outcome(outcome: Outcome, *, max_size: int = MAX_OUTCOME_SIZE, fingerprint: str = "") -> bytes:
    """Return the body of an outcome (section 3), as `sendable` makes it."""
    return sendable(outcome, max_size=max_size, fingerprint=fingerprint)[1]


def sendable(
    outcome: Outcome, *, max_size: int = MAX_OUTCOME_SIZE, fingerprint: str = ""
) -> tuple[Outcome, bytes]:
    """Return the outcome that can be sent, and its body (section 3).

    `fingerprint` is that of the worker, if the delivery had another. A return value that JSON cannot carry, or a
    body over `max_size` bytes, becomes the unrecoverable failure `ReturnValueError`: the work is done, and running
    it again would not help.
    """
    try:
        body = _dumps(outcome, fingerprint)
    except BaseException as exc:
        if is_interrupt(exc):
            raise
        return _return_value_error(f"the return value is not JSON: {_problem(outcome)}", fingerprint)
    if len(body) > max_size:
        body = strict_json.utf8(_members(outcome, fingerprint))  # without escapes it is shorter
    if len(body) <= max_size:
        return outcome, body
    if fingerprint:  # the result is worth more than to know who answers
        return sendable(outcome, max_size=max_size)
    if isinstance(outcome, Failed):
        short = Failed(outcome.name[:100], outcome.message[:200], unrecoverable=outcome.unrecoverable)
        return outcome, _dumps(short)
    return _return_value_error(
        f"the outcome is {len(body)} bytes, over the server's limit of {max_size}: "
        "store the result elsewhere and return a reference to it"
    )


def parse_outcome(body: bytes) -> Outcome:
    """Return the outcome in `body` (section 3). Raises WireError."""
    return parse_answer(body)[0]


def parse_answer(body: bytes) -> tuple[Outcome, str]:
    """Return the outcome in `body`, and the fingerprint of the worker: empty if it is the one of the delivery.

    Raises WireError.
    """
    raw = read_body(body)
    name = raw.get("outcome")
    kind = _KINDS.get(name) if isinstance(name, str) else None
    if kind is None:
        raise WireError(f"outcome is none of {', '.join(_KINDS)}")
    worker = raw.get("worker")
    told = t.cast("dict[str, t.Any]", worker).get("fingerprint") if isinstance(worker, dict) else None
    return kind.parse(raw), told if isinstance(told, str) and len(told) <= MAX_FINGERPRINT else ""


def clip(text: str, size: int) -> str:
    """Cut `text` to at most `size` bytes of UTF-8, and replace lone surrogates."""
    raw = text.encode("utf-8", "replace")
    return raw[:size].decode("utf-8", "ignore")


def _members(outcome: Outcome, fingerprint: str) -> dict[str, t.Any]:
    body = {"outcome": outcome.outcome, **outcome.members()}
    return {**body, "worker": {"fingerprint": fingerprint}} if fingerprint else body


def _dumps(outcome: Outcome, fingerprint: str = "") -> bytes:
    return strict_json.dumps(_members(outcome, fingerprint))


def _problem(outcome: Outcome) -> str:
    from .plain import problem_of  # few results are not JSON

    return problem_of(outcome.return_value) if isinstance(outcome, Completed) else "it cannot be written as JSON"


def _return_value_error(message: str, fingerprint: str = "") -> tuple[Failed, bytes]:
    failure = Failed("ReturnValueError", message, unrecoverable=True)
    return failure, _dumps(failure, fingerprint)


def _clipped(value: object, size: int) -> str:
    return clip(value, size) if isinstance(value, str) else ""
