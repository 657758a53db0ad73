"""What `nextmq conformance` finds wrong with an outcome, and with a refusal."""

from __future__ import annotations

import json
import typing as t

import pytest

from nextmq_handler.protocol.messages import Response
from nextmq_handler.protocol.signing import OUTCOME, parse_secret, signature_headers
from nextmq_server.conformance.cases import Case, completed
from nextmq_server.conformance.judge import Silence, fault
from nextmq_server.conformance.requests import UNKNOWN_SECRET, HeaderList, Sender, Wire

NOW = 1_790_000_000
SENDER = Sender(parse_secret("whsec_pZ4tVw9Qx2mKc7RjY1nLs8HdGb3Fq0Ue"), NOW)
JSON = (b"content-type", b"application/json")
COMPLETED = completed("a row", Wire(), 1)
FAILED = Case("a row", Wire(), outcome={"outcome": "failed"}, error={"message": "no"})
REFUSED = Case("a case", Wire(), 401, "unauthorized")
BROKEN = Case("a case", Wire(), status=None)
NOT_ALLOWED = Case("a case", Wire(method="PUT"), 405, "method_not_allowed")


def sealed(content: t.Any, **changes: t.Any) -> HeaderList:
    how = {"id": SENDER.id, "timestamp": NOW, "context": OUTCOME, **changes}
    secret = how.pop("secret", SENDER.secret)
    return signature_headers([secret], body=json.dumps(content).encode(), **how)


def outcome(content: t.Any, *headers: tuple[bytes, bytes], **changes: t.Any) -> Response:
    return Response(200, [*(headers or (JSON,)), *sealed(content, **changes)], json.dumps(content).encode())


def error(**members: t.Any) -> Response:
    return outcome({"outcome": "failed", "error": {"name": "E", "message": "no", "stack": "", **members}})


RIGHT = {"outcome": "completed", "returnValue": 1}
FAULTS: dict[str, tuple[Case, Response | Silence, str | None]] = {
    "right": (COMPLETED, outcome(RIGHT), None),
    "a failure that is right": (FAILED, error(), None),
    "a failure of another name": (FAILED, error(name="F"), None),
    "another value": (COMPLETED, outcome({**RIGHT, "returnValue": 2}), "another content"),
    "a true for a 1": (COMPLETED, outcome({**RIGHT, "returnValue": True}), "another content"),
    "another outcome": (COMPLETED, error(), "another content"),
    "an unrecoverable failure": (
        FAILED,
        outcome({"outcome": "failed", "unrecoverable": True, "error": {"message": "no"}}),
        "another content",
    ),
    "no error": (FAILED, outcome({"outcome": "failed"}), "no error object"),
    "another message": (FAILED, error(message="yes"), "another error.message"),
    "a long message": (FAILED, error(message="x" * 4097), "error.message is over 4096 bytes"),
    "a long stack": (FAILED, error(stack="x" * 20_481), "error.stack is over 20480 bytes"),
    "a stack that is a list": (FAILED, error(stack=[]), "error.stack is not text"),
    "no object": (COMPLETED, outcome([]), "the outcome is not an object"),
    "unsigned": (COMPLETED, Response(200, [JSON], b"{}"), "not an authentic outcome: header_missing"),
    "another secret's": (
        COMPLETED,
        outcome(RIGHT, secret=UNKNOWN_SECRET),
        "not an authentic outcome: signature_mismatch",
    ),
    "signed as a request": (
        COMPLETED,
        outcome(RIGHT, context=b""),
        "not an authentic outcome: signature_mismatch",
    ),
    "another delivery's": (COMPLETED, outcome(RIGHT, id="dlv_2"), "not an authentic outcome: delivery_mismatch"),
    "an old one": (
        COMPLETED,
        outcome(RIGHT, timestamp=NOW - 301),
        "not an authentic outcome: timestamp_too_old",
    ),
    "text": (
        COMPLETED,
        outcome(RIGHT, (b"content-type", b"text/plain")),
        "content-type is not application/json",
    ),
    "encoded": (
        COMPLETED,
        outcome(RIGHT, JSON, (b"content-encoding", b"gzip")),
        "an outcome must not have a content-encoding",
    ),
    "another status than 200": (COMPLETED, Response(201, [JSON], b"{}"), "another status"),
    "a fault": (COMPLETED, Response(503, [], b""), "no input yields a 5xx"),
    "silence": (COMPLETED, Silence("closed", is_closed=True), "closed"),
    "a refusal": (REFUSED, Response(401, [JSON], b'{"error":"unauthorized"}'), None),
    "a refusal that says more": (
        REFUSED,
        Response(401, [JSON], b'{"error":"unauthorized","id":"dlv_1"}'),
        "another content",
    ),
    "a refusal that is not JSON": (REFUSED, Response(401, [], b"no"), "another content"),
    "a refusal that is signed": (
        REFUSED,
        Response(401, sealed({}), b'{"error":"unauthorized"}'),
        "an answer without an outcome must not have signature headers",
    ),
    "a method that is refused by a router": (
        NOT_ALLOWED,
        Response(405, [(b"allow", b"POST")], b"<html>"),
        None,
    ),
    "a method that is refused without allow": (NOT_ALLOWED, Response(405, [], b""), "no allow header"),
    "a HEAD with a body": (
        Case("a case", Wire(method="HEAD"), 200),
        Response(200, [], b"{}"),
        "the answer to HEAD has a body",
    ),
    "health": (
        Case("a case", Wire(method="GET"), 200),
        Response(200, [JSON], b'{"status":"ok"}'),
        None,
    ),
    "health of another app": (
        Case("a case", Wire(method="GET"), 200),
        Response(200, [JSON], b'{"ok":true}'),
        "another content",
    ),
    "a broken body that is refused": (BROKEN, Response(400, [], b""), None),
    "a broken body that is dropped": (BROKEN, Silence("closed", is_closed=True), None),
    "a broken body that is waited for": (
        BROKEN,
        Silence("no answer within 1 s"),
        "no answer within 1 s",
    ),
    "a broken body that is a fault": (
        BROKEN,
        Response(500, [], b""),
        "no input yields a 5xx",
    ),
}


@pytest.mark.parametrize(("case", "answer", "wrong"), FAULTS.values(), ids=FAULTS)
def test_an_answer_is_judged_by_the_protocol(case: Case, answer: Response | Silence, wrong: str | None) -> None:
    assert fault(case, answer, SENDER, now=NOW) == wrong
