"""What is wrong with an answer, in words."""

from __future__ import annotations

import json
import typing as t
from dataclasses import dataclass

from nextmq_handler.protocol.messages import Headers
from nextmq_handler.protocol.signing import SignatureError, verify_outcome
from nextmq_handler.protocol.wire import MAX_MESSAGE_SIZE, MAX_STACK_SIZE

from .cases import Accepted, Broken, Case
from .outcomes import Row
from .requests import HeaderList, Sender


@dataclass(frozen=True)
class Answer:
    """What came back; names of headers are in lower case."""

    status: int
    headers: HeaderList
    body: bytes

    def all(self, name: bytes) -> list[bytes]:
        """Every value of a header."""
        return [value for key, value in self.headers if key == name]


@dataclass(frozen=True)
class Silence:
    """That nothing came back, and why; `is_closed` where the connection was closed instead."""

    reason: str
    is_closed: bool = False


def expected(case: Case | Accepted | Row | Broken) -> str:
    """What the protocol asks for."""
    if isinstance(case, Broken):
        return "a status below 500, or the connection closed"
    if isinstance(case, Accepted):
        return f"a signed outcome, completed with {_short(case.value)}"
    if isinstance(case, Row):
        error = f", error {_short(case.error)}" if case.error else ""
        return f"a signed outcome, {_short(case.outcome)}{error}"
    content = None if case.wire.method == "HEAD" else _content(case)
    return f"{case.status}{' with allow' if case.status == 405 else ''}{f' {_short(content)}' if content else ''}"


def fault(
    case: Case | Accepted | Row | Broken, answer: Answer | Silence, sender: Sender, *, now: float
) -> str | None:
    """What is wrong with `answer`, None where nothing is. `now` is Unix seconds."""
    if isinstance(answer, Silence):
        return None if isinstance(case, Broken) and answer.is_closed else answer.reason
    if answer.status >= 500:
        return "no input yields a 5xx"
    if isinstance(case, Broken):
        return None
    if isinstance(case, Case):
        return _fault_of_refusal(case, answer)
    content = _outcome(answer, sender, now=now)
    if isinstance(content, str):
        return content
    if isinstance(case, Accepted):
        return _difference({"outcome": "completed", "returnValue": case.value}, content)
    wrong = _difference(case.outcome, {key: value for key, value in content.items() if key != "error"})
    return wrong or (_fault_of_error(case, content.get("error")) if case.outcome["outcome"] == "failed" else None)


def _fault_of_refusal(case: Case, answer: Answer) -> str | None:
    if answer.status != case.status:
        return "another status"
    if any(name.startswith(b"x-nextmq-") for name, _ in answer.headers):
        return "an answer without an outcome bears no signature headers"
    if case.wire.method == "HEAD":
        return "the answer to HEAD has a body" if answer.body else None
    if case.status == 405 and not answer.all(b"allow"):
        return "no allow header"
    if case.status in (404, 405):
        return None  # a router may have answered
    return _difference(_content(case), _json(answer.body))


def _content(case: Case) -> dict[str, str]:
    return {"status": "ok"} if case.code is None else {"error": case.code}


def _outcome(answer: Answer, sender: Sender, *, now: float) -> dict[str, t.Any] | str:
    """The content of an outcome, or what is wrong with its envelope."""
    if answer.status != 200:
        return "another status"
    types = [value.partition(b";")[0].strip().lower() for value in answer.all(b"content-type")]
    if types != [b"application/json"]:
        return "content-type is not application/json"
    if answer.all(b"content-encoding"):
        return "an outcome has no content-encoding"
    headers = Headers(answer.headers)
    try:
        verify_outcome(headers, answer.body, [sender.secret], delivery_id=sender.id, now=now)
    except SignatureError as exc:
        return f"not an authentic outcome: {exc.reason}"
    content = _json(answer.body)
    return t.cast("dict[str, t.Any]", content) if isinstance(content, dict) else "the outcome is not an object"


def _fault_of_error(case: Row, error: t.Any) -> str | None:
    if not isinstance(error, dict):
        return "no error object"
    members = t.cast("dict[str, t.Any]", error)
    for name, size in (("name", MAX_MESSAGE_SIZE), ("message", MAX_MESSAGE_SIZE), ("stack", MAX_STACK_SIZE)):
        text = members.get(name, "")
        if not isinstance(text, str):
            return f"error.{name} is not text"
        if len(text.encode("utf-8", "replace")) > size:
            return f"error.{name} is over {size} bytes"
    return next((f"another error.{name}" for name, text in case.error.items() if members.get(name) != text), None)


def _difference(wanted: t.Any, found: t.Any) -> str | None:
    # As JSON, where 1 is not true.
    return None if _canonical(wanted) == _canonical(found) else "another content"


def _canonical(value: t.Any) -> str:
    return json.dumps(value, sort_keys=True)


def _json(body: bytes) -> t.Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _short(value: t.Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 100 else text[:100] + "…"
