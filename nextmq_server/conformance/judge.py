"""Tell what is wrong with an answer."""

from __future__ import annotations

import json
import typing as t
from dataclasses import dataclass

from nextmq_handler.protocol.messages import Headers, Response
from nextmq_handler.protocol.outcomes import MAX_MESSAGE_SIZE, MAX_STACK_SIZE
from nextmq_handler.protocol.signing import SignatureError, verify_outcome

from .cases import Case
from .requests import Sender


@dataclass(frozen=True)
class Silence:
    """No answer, and why. `is_closed`: the connection was closed instead."""

    reason: str
    is_closed: bool = False


def expected(case: Case) -> str:
    """Describe what the protocol asks for."""
    if case.status is None:
        return "a status below 500, or the connection closed"
    if case.outcome is not None:
        error = f", error {_short(case.error)}" if case.error else ""
        return f"a signed outcome, {_short(case.outcome)}{error}"
    allow = " with allow" if case.status == 405 else ""
    content = "" if case.wire.method == "HEAD" else f" {_short(_content(case))}"
    return f"{case.status}{allow}{content}"


def fault(case: Case, answer: Response | Silence, sender: Sender, *, now: float) -> str | None:
    """Return what is wrong with `answer`, None if it is right. `now` is Unix seconds."""
    if isinstance(answer, Silence):
        return None if case.status is None and answer.is_closed else answer.reason
    if answer.status >= 500:
        return "no input yields a 5xx"
    if case.status is None:
        return None
    if answer.status != case.status:
        return "another status"
    headers = Headers(answer.headers)
    if case.outcome is None:
        return _fault_of_status(case, answer, headers)
    return _fault_of_envelope(answer, headers, sender, now=now) or _fault_of_outcome(case, _json(answer.body))


def _fault_of_status(case: Case, answer: Response, headers: Headers) -> str | None:
    if any(name.startswith(b"x-nextmq-") for name, _ in headers.items):
        return "an answer without an outcome must not have signature headers"
    if case.wire.method == "HEAD":
        return "the answer to HEAD has a body" if answer.body else None
    if case.status == 405 and not headers.all(b"allow"):
        return "no allow header"
    if case.status in (404, 405):
        return None  # a router may have answered
    return _difference(_content(case), _json(answer.body))


def _content(case: Case) -> dict[str, str]:
    return {"status": "ok"} if case.code is None else {"error": case.code}


def _fault_of_envelope(answer: Response, headers: Headers, sender: Sender, *, now: float) -> str | None:
    types = [value.partition(b";")[0].strip().lower() for value in headers.all(b"content-type")]
    if types != [b"application/json"]:
        return "content-type is not application/json"
    if headers.all(b"content-encoding"):
        return "an outcome must not have a content-encoding"
    try:
        verify_outcome(headers, answer.body, [sender.secret], delivery_id=sender.id, now=now)
    except SignatureError as exc:
        return f"not an authentic outcome: {exc.reason}"
    return None


def _fault_of_outcome(case: Case, content: t.Any) -> str | None:
    if not isinstance(content, dict):
        return "the outcome is not an object"
    members = t.cast("dict[str, t.Any]", content)
    error = members.pop("error", None)
    members.pop("worker", None)  # an app may say which version it is (section 4)
    wrong = _difference(case.outcome, members)
    return wrong if wrong or members["outcome"] != "failed" else _fault_of_error(case, error)


def _fault_of_error(case: Case, error: t.Any) -> str | None:
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
    is_same = json.dumps(wanted, sort_keys=True) == json.dumps(found, sort_keys=True)
    return None if is_same else "another content"


def _json(body: bytes) -> t.Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _short(value: t.Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 100 else text[:100] + "…"
