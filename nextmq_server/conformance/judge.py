"""Tell what is wrong with an answer."""

from __future__ import annotations

import json
import typing as t
from dataclasses import dataclass

from nextmq_handler.protocol.messages import Headers
from nextmq_handler.protocol.signing import SignatureError, verify_outcome
from nextmq_handler.protocol.wire import MAX_MESSAGE_SIZE, MAX_STACK_SIZE

from .cases import AcceptedCase, AnyCase, BrokenCase, OutcomeCase, StatusCase
from .requests import HeaderList, Sender


@dataclass(frozen=True)
class HandlerAnswer:
    """What the handler answered. Header names are in lower case."""

    status: int
    headers: HeaderList
    body: bytes

    def all(self, name: bytes) -> list[bytes]:
        """Return every value of a header."""
        return [value for key, value in self.headers if key == name]


@dataclass(frozen=True)
class Silence:
    """No answer, and why. `is_closed`: the connection was closed instead."""

    reason: str
    is_closed: bool = False


def expected(case: AnyCase) -> str:
    """Describe what the protocol asks for."""
    match case:
        case BrokenCase():
            return "a status below 500, or the connection closed"
        case AcceptedCase():
            return f"a signed outcome, completed with {_short(case.value)}"
        case OutcomeCase():
            error = f", error {_short(case.error)}" if case.error else ""
            return f"a signed outcome, {_short(case.outcome)}{error}"
        case StatusCase():
            allow = " with allow" if case.status == 405 else ""
            content = "" if case.wire.method == "HEAD" else f" {_short(_content(case))}"
            return f"{case.status}{allow}{content}"
        case _:
            t.assert_never(case)


def fault(case: AnyCase, answer: HandlerAnswer | Silence, sender: Sender, *, now: float) -> str | None:
    """Return what is wrong with `answer`, None if it is right. `now` is Unix seconds."""
    if isinstance(answer, Silence):
        return None if isinstance(case, BrokenCase) and answer.is_closed else answer.reason
    if answer.status >= 500:
        return "no input yields a 5xx"
    match case:
        case BrokenCase():
            return None
        case StatusCase():
            return _fault_of_status(case, answer)
        case AcceptedCase():
            content = _outcome(answer, sender, now=now)
            wanted = {"outcome": "completed", "returnValue": case.value}
            return content if isinstance(content, str) else _difference(wanted, content)
        case OutcomeCase():
            content = _outcome(answer, sender, now=now)
            return content if isinstance(content, str) else _fault_of_outcome(case, content)
        case _:
            t.assert_never(case)


def _fault_of_status(case: StatusCase, answer: HandlerAnswer) -> str | None:
    if answer.status != case.status:
        return "another status"
    if any(name.startswith(b"x-nextmq-") for name, _ in answer.headers):
        return "an answer without an outcome must not have signature headers"
    if case.wire.method == "HEAD":
        return "the answer to HEAD has a body" if answer.body else None
    if case.status == 405 and not answer.all(b"allow"):
        return "no allow header"
    if case.status in (404, 405):
        return None  # a router may have answered
    return _difference(_content(case), _json(answer.body))


def _content(case: StatusCase) -> dict[str, str]:
    return {"status": "ok"} if case.code is None else {"error": case.code}


def _outcome(answer: HandlerAnswer, sender: Sender, *, now: float) -> dict[str, t.Any] | str:
    """Return the content of an outcome, or what is wrong with its envelope."""
    if answer.status != 200:
        return "another status"
    types = [value.partition(b";")[0].strip().lower() for value in answer.all(b"content-type")]
    if types != [b"application/json"]:
        return "content-type is not application/json"
    if answer.all(b"content-encoding"):
        return "an outcome must not have a content-encoding"
    headers = Headers(answer.headers)
    try:
        verify_outcome(headers, answer.body, [sender.secret], delivery_id=sender.id, now=now)
    except SignatureError as exc:
        return f"not an authentic outcome: {exc.reason}"
    content = _json(answer.body)
    return t.cast("dict[str, t.Any]", content) if isinstance(content, dict) else "the outcome is not an object"


def _fault_of_outcome(case: OutcomeCase, content: dict[str, t.Any]) -> str | None:
    wrong = _difference(case.outcome, {key: value for key, value in content.items() if key != "error"})
    if wrong is not None or case.outcome["outcome"] != "failed":
        return wrong
    return _fault_of_error(case, content.get("error"))


def _fault_of_error(case: OutcomeCase, error: t.Any) -> str | None:
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
