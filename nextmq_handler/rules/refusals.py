"""How the REST API refuses a call. The server and LocalNextMQ answer with the same status, code and message."""

from __future__ import annotations

import typing as t

from ..protocol import strict_json
from .limits import MAX_DATA_SIZE
from .states import STATES, STORED_STATES

TAG = "|"
"""The first character of a union's tags. Pydantic puts tags into paths, and users must not see them."""


class Refusal(Exception):
    """An answer that is an error: its status, its stable code, a message for people, and details."""

    def __init__(self, status: int, code: str, message: str, **details: t.Any) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.details = details

    @property
    def body(self) -> dict[str, t.Any]:
        """What the answer holds, as JSON."""
        return {"error": self.code, "message": self.message, "details": self.details}


def invalid(path: str, problem: str) -> Refusal:
    """Return a 422 for a request whose member at `path` cannot be accepted."""
    return _invalid([{"path": path, "problem": problem}])


def invalid_values(errors: t.Sequence[t.Mapping[str, t.Any]], *, skip: int = 0) -> Refusal:
    """Return a 422 that tells pydantic's `errors`; the first `skip` parts of each path are left out."""
    return _invalid([{"path": _path(error["loc"][skip:]), "problem": problem_of(error)} for error in errors])


def problem_of(error: t.Mapping[str, t.Any]) -> str:
    """Return what pydantic says of a value, without its prefix before a validator's own text."""
    return str(error["msg"]).removeprefix("Value error, ")


def invalid_filter(problem: object, *, position: int, part: str) -> Refusal:
    """Return a 422 for a filter that does not parse; `position` is that of the `part`, in characters from 0."""
    return Refusal(422, "invalid_filter", f"the filter does not parse: {problem}", position=position, part=part)


def check_size(data: t.Any, opts: t.Mapping[str, t.Any], path: str, *, escaped: int | None = None) -> None:
    """Raise Refusal if a job's data at `path` is over its own limit or the server's, in bytes of UTF-8.

    `escaped` is the length of the data as ASCII JSON, if the caller knows it: that is never the smaller one.
    """
    limit = min(MAX_DATA_SIZE, opts.get("sizeLimit", MAX_DATA_SIZE))
    if escaped is not None and escaped <= limit:
        return
    if (size := json_size(data)) > limit:
        raise invalid(path, over_limit(size, limit))


def json_size(value: t.Any) -> int:
    """Return the size of `value` as BullMQ counts it: the bytes of its compact JSON in UTF-8."""
    return len(strict_json.utf8(value))


def over_limit(size: int, limit: int) -> str:
    """Return what to say of data that is too large; both in bytes."""
    return f"the data is {size} bytes, over the limit of {limit}: store it elsewhere"


def no_such_job(queue: str, job_id: str) -> Refusal:
    """Return a 404: the queue has no such job."""
    return Refusal(404, "not_found", f"queue {queue} has no job {job_id}")


def no_such_scheduler(queue: str, id: str) -> Refusal:
    """Return a 404: the queue has no such job scheduler."""
    return Refusal(404, "not_found", f"queue {queue} has no job scheduler {id}")


def not_deduplicated(queue: str, deduplication_id: str) -> Refusal:
    """Return a 404: no job of the queue holds the deduplication id."""
    return Refusal(404, "not_found", f"queue {queue} has no job with deduplication id {deduplication_id}")


def wrong_state(queue: str, job_id: str, problem: object, *, code: str = "wrong_state") -> Refusal:
    """Return a 409: the job's state does not allow the call."""
    return Refusal(409, code, f"job {job_id} of queue {queue} {problem}")


def wrong_scheduler_state(queue: str, id: str, problem: object) -> Refusal:
    """Return a 409: the scheduler's next job cannot be made."""
    return Refusal(409, "wrong_state", f"job scheduler {id} of queue {queue} {problem}")


def stale_delivery(job_id: str) -> Refusal:
    """Return a 409: the processor that calls no longer owns its job (protocol section 5)."""
    text = f"this delivery no longer owns job {job_id}: it timed out or lost its lock"
    return Refusal(409, "stale_delivery", text)


def idempotency_key_reused() -> Refusal:
    """Return a 422: the key was sent with another request."""
    text = "another request had this idempotency key in the last 24 h: use a new one"
    return Refusal(422, "idempotency_key_reused", text)


def parent_refused(index: int, parent: t.Mapping[str, t.Any], problem: object, *, is_gone: bool) -> Refusal:
    """Return a 404 or 409: the job at `index` of the request cannot have this parent."""
    text = f"the parent of job {index}, {parent['queue']}/{parent['id']}, {problem}"
    status, code = (404, "not_found") if is_gone else (409, "parent_cannot_be_replaced")
    return Refusal(status, code, text, parent=dict(parent))


def wanted_states(given: str | None) -> list[str]:
    """Return the job states that a request lists, comma-separated; all if it lists none. Raises Refusal."""
    if given is None:
        return list(STATES)
    wanted = given.split(",")
    if unknown := sorted(set(wanted) - set(STORED_STATES)):
        text = f"states: no such state as {', '.join(unknown)}; there are {', '.join(STORED_STATES)}"
        raise Refusal(422, "invalid_request", text)
    return wanted


def _invalid(problems: list[dict[str, str]]) -> Refusal:
    first = problems[0]
    message = f"{first['path'] or 'the body'}: {first['problem']}"
    return Refusal(422, "invalid_request", message, problems=problems)


def _path(parts: t.Iterable[int | str]) -> str:
    return ".".join(part for part in map(str, parts) if not part.startswith(TAG))
