"""From an answer to a finding: the two tables of protocol section 3, row by row."""

from __future__ import annotations

import json
import time
import typing as t
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextmq_handler.protocol.messages import Headers
from nextmq_handler.protocol.outcomes import Completed, Delayed, Failed, RateLimited, WaitingChildren
from nextmq_handler.protocol.signing import ID, SIGNATURE, TIMESTAMP, Secret
from nextmq_server.dispatch.http.answers import AppAnswer, NoAnswer
from nextmq_server.dispatch.judge import EXCERPT_SIZE, Broken, Finding, NotRun, Reached, Unsendable
from nextmq_server.engine.verdicts import Verdict
from tests.support.judging import (
    DONE,
    NEW,
    NOW,
    OLD,
    OTHER,
    UNSIGNED,
    HeaderList,
    answer,
    doubled,
    judge,
    outcome,
    sealed,
    without,
)

DAY = 86_400.0
ERROR = {"name": "SMTPError", "message": "no route", "stack": "Traceback …"}

OUTCOMES: dict[str, tuple[AppAnswer, Verdict]] = {
    "completed": (outcome("completed", returnValue={"sent": ["é", None]}), Completed({"sent": ["é", None]})),
    "completed without a value": (outcome("completed"), Completed(None)),
    "completed, signed with the old secret": (sealed(secret=OLD), Completed(1)),
    "completed 300 s ago": (sealed(timestamp=NOW - 300), Completed(1)),
    "completed 300 s ahead": (sealed(timestamp=NOW + 300), Completed(1)),
    "failed": (outcome("failed", error=ERROR), Failed("SMTPError", "no route", "Traceback …")),
    "failed without an error": (outcome("failed"), Failed("Error", "")),
    "unrecoverable": (
        outcome("failed", unrecoverable=True, error={"name": "Bad", "message": "data"}),
        Failed("Bad", "data", unrecoverable=True),
    ),
    "unrecoverable only where true": (
        outcome("failed", unrecoverable=1, error={"name": "Bad", "message": "data"}),
        Failed("Bad", "data"),
    ),
    "shortest rate limit": (outcome("rateLimited", delay=1), RateLimited(1)),
    "longest rate limit": (outcome("rateLimited", delay=86_400_000), RateLimited(86_400_000)),
    "delayed": (outcome("delayed", timestamp=1_790_000_060_000), Delayed(1_790_000_060_000)),
    "delayed to the last ms": (outcome("delayed", timestamp=2_099_999_999_999), Delayed(2_099_999_999_999)),
    "waiting children": (outcome("waitingChildren"), WaitingChildren()),
}

NO_OUTCOMES: dict[str, AppAnswer] = {
    "a login page": answer(200, (b"content-type", b"text/html"), body=b"<form>"),
    "unsigned": UNSIGNED,
    "without the id": without(ID),
    "without the timestamp": without(TIMESTAMP),
    "without the signature": without(SIGNATURE),
    "two ids": doubled(ID),
    "two timestamps": doubled(TIMESTAMP),
    "two signatures": doubled(SIGNATURE),
    "another delivery's": sealed(id="dlv_2"),
    "301 s old": sealed(timestamp=NOW - 301),
    "301 s ahead": sealed(timestamp=NOW + 301),
    "another secret's": sealed(secret=OTHER),
    "signed as a delivery": sealed(context=b""),
    "changed on the way": replace(sealed(), body=DONE.replace(b"1", b"2")),
    "over the cap": replace(sealed(), is_truncated=True),
    "gzip": sealed(more=[(b"content-encoding", b"gzip")]),
    "content-encoding identity": sealed(more=[(b"Content-Encoding", b"identity")]),
    "not JSON": sealed(b"completed"),
    "empty": sealed(b""),
    "a list": sealed(b"[]"),
    "NaN": sealed(b'{"outcome":"completed","returnValue":NaN}'),
    "not UTF-8": sealed(b'{"outcome":"completed","returnValue":"\xff"}'),
    "nested too deeply": sealed(b'{"outcome":"completed","returnValue":' + b"[" * 100 + b"]" * 100 + b"}"),
    "no kind": sealed(b"{}"),
    "an unknown kind": outcome("postponed"),
    "an error that is a text": outcome("failed", error="no route"),
    "rate limit 0": outcome("rateLimited", delay=0),
    "rate limit over a day": outcome("rateLimited", delay=86_400_001),
    "rate limit of a fraction": outcome("rateLimited", delay=1.5),
    "rate limit true": outcome("rateLimited", delay=True),
    "no rate limit": outcome("rateLimited"),
    "delayed before the epoch": outcome("delayed", timestamp=-1),
    "delayed too far": outcome("delayed", timestamp=2_100_000_000_000),
    "delayed until a text": outcome("delayed", timestamp="1790000060000"),
    "201": replace(sealed(), status=201),
    "202": replace(sealed(), status=202),
    "204": answer(204),
}

NOT_RUN: dict[str, AppAnswer | NoAnswer] = {
    "not sent": NoAnswer("not_sent", "connection refused"),
    **{str(status): answer(status) for status in (401, 403, 404, 405, 408, 415)},
}

FAILURES: dict[str, tuple[AppAnswer | NoAnswer, str, str]] = {
    "409": (answer(409), "DeliveryUnknown", "may have run"),
    "500": (answer(500), "EndpointUnavailable", "may have run"),
    "502": (answer(502), "EndpointUnavailable", "may have run"),
    "504": (answer(504), "EndpointUnavailable", "may have run"),
    "599": (answer(599), "EndpointUnavailable", "may have run"),
    "a late 503": (answer(503, elapsed=5.001), "EndpointUnavailable", "may have run"),
    "a late 503 with retry-after": (
        answer(503, (b"retry-after", b"9"), elapsed=5.001),
        "EndpointUnavailable",
        "may have run",
    ),
    "broken": (NoAnswer("broken", "reset by peer"), "EndpointUnavailable", "may have run"),
    "timeout": (NoAnswer("timeout", "no whole answer"), "DeliveryTimeout", "may still be running"),
    **{
        str(status): (answer(status, (b"location", b"/")), "InvalidOutcome", "redirects are never followed")
        for status in (300, 301, 302, 303, 304, 307, 308)
    },
}

HTTP_DATES = ["Mon, 21 Sep 2026 14:14:20 GMT", "Monday, 21-Sep-26 14:14:20 GMT", "Mon Sep 21 14:14:20 2026"]
"""60 s after NOW, in the three spellings that HTTP knows."""

RETRY_AFTERS: dict[bytes, float] = {
    b"7": 7.0,
    b" 7 ": 7.0,
    b"0": 1.0,
    b"86400": DAY,
    b"86401": DAY,
    b"9" * 5000: DAY,
    b"Mon, 21 Sep 2026 14:13:20 GMT": 1.0,
    b"Mon, 21 Sep 1998 14:13:20 GMT": 1.0,
    b"Mon, 21 Sep 2099 14:13:20 GMT": DAY,
    b"Mon, 21 Sep 2026 16:14:20 +0200": 60.0,
}

GARBAGE = [b"", b"soon", b"-1", b"1.5", b"1e3", b"\xb2", b"\xff\xfe", b"Mon, 99 Xxx 2026 14:13:20 GMT", b"0x10"]


@pytest.mark.parametrize(("given_answer", "verdict"), OUTCOMES.values(), ids=OUTCOMES)
def test_an_outcome_becomes_its_verdict(given_answer: AppAnswer, verdict: Verdict) -> None:
    finding = judge(given_answer)
    assert isinstance(finding, Reached)
    assert finding.verdict == verdict


@pytest.mark.parametrize("secret", [NEW, OLD], ids=["the new secret", "the old secret"])
def test_an_outcome_names_the_secret_that_signed_it(secret: Secret) -> None:
    assert judge(sealed(secret=secret)) == Reached(Completed(1), secret.id)


@pytest.mark.parametrize(("member", "limit"), [("message", 4096), ("stack", 20_480)])
def test_a_long_text_of_an_outcome_is_cut(member: str, limit: int) -> None:
    finding = judge(outcome("failed", error={"name": "E", member: "é" * 20_000}))
    assert isinstance(finding, Reached)
    assert getattr(finding.verdict, member) == "é" * (limit // 2)


@pytest.mark.parametrize("given_answer", NO_OUTCOMES.values(), ids=NO_OUTCOMES)
def test_what_is_not_an_outcome_fails_the_attempt(given_answer: AppAnswer) -> None:
    finding = judge(given_answer)
    assert isinstance(finding, Broken)
    assert (finding.failure.name, finding.failure.unrecoverable) == ("InvalidOutcome", False)
    assert finding.failure.message.endswith("the job may have run")


@pytest.mark.parametrize("given_answer", NOT_RUN.values(), ids=NOT_RUN)
def test_what_provably_did_not_run_is_told_from_what_may_have(given_answer: AppAnswer | NoAnswer) -> None:
    finding = judge(given_answer)
    assert isinstance(finding, NotRun)
    assert finding.kind == "unreachable"


@pytest.mark.parametrize("given_answer", NOT_RUN.values(), ids=NOT_RUN)
def test_a_refusal_by_status_may_be_about_one_job(given_answer: AppAnswer | NoAnswer) -> None:
    finding = judge(given_answer)
    assert isinstance(finding, NotRun)
    assert finding.is_refusal is isinstance(given_answer, AppAnswer)


@pytest.mark.parametrize("elapsed", [0.0, 0.1, 10.0, 29.9])
def test_408_names_a_middleware_that_keeps_the_body(elapsed: float) -> None:
    finding = judge(answer(408, elapsed=elapsed))
    assert isinstance(finding, NotRun)
    assert all(part in finding.detail for part in ("408", "middleware", "read", "replay"))


def test_a_lack_of_sockets_says_nothing_of_the_endpoint() -> None:
    assert judge(NoAnswer("unsendable", "no socket")) == Unsendable("no socket")


@pytest.mark.parametrize(
    "given_answer",
    [answer(429), answer(429, elapsed=20.0), answer(503), answer(503, elapsed=5.0)],
    ids=["429", "a late 429", "503", "503 after 5 s"],
)
def test_a_429_and_a_quick_503_are_the_platform_throttling(given_answer: AppAnswer) -> None:
    assert judge(given_answer) == NotRun(f"the app answered {given_answer.status}", "throttled", None)


@pytest.mark.parametrize(("value", "seconds"), RETRY_AFTERS.items(), ids=[repr(key[:40]) for key in RETRY_AFTERS])
@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_says_how_long_the_queue_is_held(status: int, value: bytes, seconds: float) -> None:
    assert judge(answer(status, (b"Retry-After", value))) == NotRun(
        f"the app answered {status}", "throttled", seconds
    )


@pytest.fixture
def far_from_greenwich(monkeypatch: pytest.MonkeyPatch) -> t.Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "FAR-9")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("far_from_greenwich")
@pytest.mark.parametrize("date", HTTP_DATES)
def test_a_date_of_retry_after_is_one_of_greenwich(date: str) -> None:
    assert judge(answer(429, (b"retry-after", date.encode()))) == NotRun("the app answered 429", "throttled", 60.0)


@pytest.mark.parametrize("value", GARBAGE, ids=repr)
def test_retry_after_that_says_nothing_is_not_heard(value: bytes) -> None:
    assert judge(answer(429, (b"retry-after", value))) == NotRun("the app answered 429", "throttled", None)


def test_410_says_that_the_endpoint_is_gone() -> None:
    assert judge(answer(410)) == NotRun("the app answered 410", "disabled")


@pytest.mark.parametrize("status", [400, 413])
def test_a_refused_delivery_fails_the_job_for_good(status: int) -> None:
    expected = Failed("DeliveryRefused", f'the app answered {status}: {{"error":"é"}}', unrecoverable=True)
    assert judge(answer(status, body='{"error":"é"}'.encode())) == Reached(expected)


@pytest.mark.parametrize(
    "body", [b"x" * 5000, "€".encode() * 5000, b"\xff" * 5000], ids=["ascii", "euro", "binary"]
)
def test_the_excerpt_of_a_refusal_is_short(body: bytes) -> None:
    finding = judge(answer(400, body=body))
    assert isinstance(finding, Reached)
    assert isinstance(finding.verdict, Failed)
    excerpt = finding.verdict.message.removeprefix("the app answered 400: ")
    assert EXCERPT_SIZE - 3 < len(excerpt.encode()) <= EXCERPT_SIZE == 2048


@pytest.mark.parametrize(("given_answer", "name", "hint"), FAILURES.values(), ids=FAILURES)
def test_any_other_answer_fails_the_attempt(given_answer: AppAnswer | NoAnswer, name: str, hint: str) -> None:
    finding = judge(given_answer)
    assert isinstance(finding, Broken)
    failure = finding.failure
    assert (failure.name, failure.unrecoverable, hint in failure.message) == (name, False, True)


header_names = st.sampled_from([ID, TIMESTAMP, SIGNATURE, b"retry-after", b"content-encoding"]) | st.binary()
header_values = st.binary() | st.from_regex(rb"[A-Za-z]{3}, [0-9 ]{1,5}[A-Z][a-z]{2} [0-9:+ GMT-]{0,40}")
json_texts = st.dictionaries(st.text(), st.text() | st.integers()).map(
    lambda members: json.dumps(members).encode()
)
kinds = st.sampled_from(["completed", "failed", "rateLimited", "delayed", "waitingChildren"])
values = st.none() | st.integers() | st.floats() | st.text() | st.dictionaries(st.text(), st.integers())
members = st.sampled_from(["returnValue", "error", "unrecoverable", "delay", "timestamp"])


@given(
    status=st.integers(100, 999),
    headers=st.lists(st.tuples(header_names, header_values), max_size=6),
    body=st.binary() | json_texts,
    is_truncated=st.booleans(),
    elapsed=st.floats(0, 10),
)
def test_any_answer_says_something(
    status: int, headers: HeaderList, body: bytes, is_truncated: bool, elapsed: float
) -> None:
    assert isinstance(judge(AppAnswer(status, Headers(headers), body, is_truncated, elapsed)), Finding)


@given(kind=kinds, members=st.dictionaries(members, values))
def test_any_signed_answer_says_something(kind: str, members: dict[str, t.Any]) -> None:
    assert isinstance(judge(outcome(kind, **members)), Finding)


@given(body=st.binary())
def test_any_signed_bytes_say_something(body: bytes) -> None:
    assert isinstance(judge(sealed(body)), Finding)
