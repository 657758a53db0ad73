"""Answers for the judge: signed outcomes and whatever else an app may answer."""

from __future__ import annotations

import json
import typing as t
from dataclasses import replace

from nextmq_handler.protocol.messages import Headers
from nextmq_handler.protocol.signing import OUTCOME, Secret, signature_headers
from nextmq_server.dispatch.http.answers import AppAnswer, NoAnswer
from nextmq_server.dispatch.judge import Finding
from nextmq_server.dispatch.judge import judge as judge_answer

NOW = 1_790_000_000
DELIVERY = "dlv_1"
OLD, NEW, OTHER = (Secret(word * 4) for word in (b"old secret", b"new secret", b"other secret"))
DONE = b'{"outcome":"completed","returnValue":1}'
UNSIGNED = AppAnswer(200, Headers(), DONE, False, 0.1)
HeaderList = list[tuple[bytes, bytes]]


def sealed(
    body: bytes = DONE,
    *,
    secret: Secret = NEW,
    id: str = DELIVERY,
    timestamp: int = NOW,
    context: bytes = OUTCOME,
    more: HeaderList | None = None,
) -> AppAnswer:
    """Return a 200 whose body is signed as an outcome."""
    headers = signature_headers([secret], id, timestamp, body, context=context)
    return replace(UNSIGNED, headers=Headers(headers + (more or [])), body=body)


def outcome(kind: str, **members: t.Any) -> AppAnswer:
    return sealed(json.dumps({"outcome": kind, **members}).encode())


def answer(status: int, *headers: tuple[bytes, bytes], body: bytes = b"", elapsed: float = 0.1) -> AppAnswer:
    return AppAnswer(status, Headers(headers), body, False, elapsed)


def without(name: bytes) -> AppAnswer:
    signed = sealed()
    return replace(signed, headers=Headers((key, value) for key, value in signed.headers.items if key != name))


def doubled(name: bytes) -> AppAnswer:
    return sealed(more=[(name, sealed().headers.all(name)[0])])


def judge(given_answer: AppAnswer | NoAnswer) -> Finding:
    """Judge an answer to the delivery."""
    return judge_answer(given_answer, [OLD, NEW], DELIVERY, now=NOW)
