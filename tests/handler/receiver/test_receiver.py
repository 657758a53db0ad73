"""The receiver's refusals and their order, driven through the ASGI app: status, code, reason in the log."""

import typing as t

import httpx
import pytest

from nextmq_handler import Worker
from nextmq_handler.asgi import NextMQHandler
from nextmq_handler.testing.vectors import REQUESTS, Vector
from tests.support.handler import (
    JSON,
    NOW,
    OTHER_SECRET,
    SECRET,
    URL,
    HeaderList,
    deliver,
    delivery,
    encode,
    make_handler,
    seal,
    send,
    signed,
)

pytestmark = pytest.mark.anyio

GOOD = encode(delivery())


def make(**options: t.Any) -> NextMQHandler:
    return make_handler(Worker("emails", lambda job: "done"), **options)


def with_header(name: bytes, *values: bytes) -> HeaderList:
    """Return the headers of GOOD, those called `name` replaced by `values`."""
    kept = [(key, value) for key, value in signed(GOOD) if key != name]
    return kept + [(name, value) for value in values]


@pytest.mark.parametrize(
    "headers",
    [
        with_header(b"content-type"),
        with_header(b"content-type", b""),
        with_header(b"content-type", b"text/plain"),
        with_header(b"content-type", b"application/jsonx"),
        with_header(b"content-type", b"application/x-www-form-urlencoded"),
        with_header(b"content-type", b"text/plain; application/json"),
        with_header(b"content-type", b"application/json", b"application/json"),
        with_header(b"content-type", b"application/json, text/plain"),
        with_header(b"content-encoding", b"gzip"),
        with_header(b"content-encoding", b"identity, gzip"),
        with_header(b"content-encoding", b"identity", b"br"),
        with_header(b"content-encoding", b""),
    ],
)
async def test_a_body_that_is_not_plain_json_answers_415(
    headers: HeaderList, caplog: pytest.LogCaptureFixture
) -> None:
    answer = await send(make(), GOOD, headers=headers)
    assert (answer.status, answer.json) == (415, {"error": "unsupported_media_type"})
    assert caplog.messages == [
        "refused a delivery for queue emails with 415 unsupported_media_type: content type or encoding"
    ]


@pytest.mark.parametrize(
    "headers",
    [
        with_header(b"content-type", b"application/json; charset=utf-8"),
        with_header(b"content-type", b" Application/JSON ;a=b"),
        with_header(b"content-encoding", b"identity"),
        with_header(b"content-encoding", b" Identity"),
        with_header(b"content-length"),
        with_header(b"content-length", b"a lot"),
        with_header(b"content-length", b"9" * 30, b"1"),
    ],
)
async def test_headers_that_say_plain_json_are_taken(headers: HeaderList) -> None:
    assert (await send(make(), GOOD, headers=headers)).status == 200


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        (with_header(b"x-nextmq-id"), "header_missing"),
        (with_header(b"x-nextmq-timestamp"), "header_missing"),
        (with_header(b"x-nextmq-signature"), "header_missing"),
        (with_header(b"x-nextmq-id", b"dlv_1", b"dlv_1"), "header_malformed"),
        (with_header(b"x-nextmq-timestamp", b"%d" % NOW, b"%d" % NOW), "header_malformed"),
        (with_header(b"x-nextmq-signature", b"v1,AAAA", b"v1,AAAA"), "header_malformed"),
        (with_header(b"x-nextmq-id", b""), "header_malformed"),
        (with_header(b"x-nextmq-id", b"a" * 65), "header_malformed"),
        (with_header(b"x-nextmq-id", b"dlv.1"), "header_malformed"),
        (with_header(b"x-nextmq-id", b"dlv_1\n"), "header_malformed"),
        (with_header(b"x-nextmq-id", "dlv_ä".encode()), "header_malformed"),
        (with_header(b"x-nextmq-id", b"dlv_1, dlv_1"), "header_malformed"),
        (with_header(b"x-nextmq-timestamp", b"1" * 12), "header_malformed"),
        (with_header(b"x-nextmq-timestamp", b"-1"), "header_malformed"),
        (with_header(b"x-nextmq-signature", "v1,ä".encode()), "header_malformed"),
        (with_header(b"x-nextmq-signature", b""), "signature_mismatch"),
        (with_header(b"x-nextmq-signature", b"v2,AAAA"), "signature_mismatch"),
        (signed(GOOD, at=NOW - 301), "timestamp_too_old"),
        (signed(GOOD, at=0), "timestamp_too_old"),
        (signed(GOOD, at=NOW + 301), "timestamp_too_new"),
        (signed(GOOD, at=99_999_999_999), "timestamp_too_new"),
        (signed(GOOD, secrets=[OTHER_SECRET]), "signature_mismatch"),
        ([JSON, (b"content-length", b"%d" % len(GOOD)), *seal(GOOD + b" ")], "signature_mismatch"),
    ],
)
async def test_a_delivery_that_is_not_authentic_answers_401_with_the_reason_in_the_log_alone(
    headers: HeaderList, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    answer = await send(make(), GOOD, headers=headers)
    assert (answer.status, answer.json) == (401, {"error": "unauthorized"})
    assert caplog.messages == [f"refused a delivery for queue emails with 401 unauthorized: {reason}"]


@pytest.mark.parametrize("vector", REQUESTS, ids=[vector.name for vector in REQUESTS])
async def test_a_published_vector_gets_its_status(vector: Vector) -> None:
    app = make(webhook_secrets=vector.secrets, clock=lambda: float(vector.now))
    answer = await send(app, vector.body, headers=[JSON, *vector.headers])
    assert answer.status == vector.status


async def test_the_tolerance_is_an_option() -> None:
    answer = await send(make(tolerance=10), GOOD, headers=signed(GOOD, at=NOW - 11))
    assert answer.status == 401


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "the body is not strict JSON (JSONDecodeError)"),
        (b"\xff", "the body is not strict JSON (UnicodeDecodeError)"),
        (b"[]", "the body is not an object"),
        (encode(delivery(timeout="30")), "timeout is not a whole number"),
        (encode(delivery(job={"data": float("nan")})), "the body is not strict JSON (ValueError)"),
        (encode(delivery(deliveryId="dlv_2")), "deliveryId is not the one of the header"),
    ],
)
async def test_a_signed_body_that_is_not_a_delivery_answers_400(
    body: bytes, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    answer = await send(make(), body)
    assert (answer.status, answer.json) == (400, {"error": "invalid_body"})
    assert caplog.messages == [f"refused a delivery for queue emails with 400 invalid_body: {reason}"]


@pytest.mark.parametrize(
    ("path", "queue", "reason"),
    [
        ("/queues/reports", "reports", "reports with 404 not_found: no worker is mounted for it"),
        ("/queues/reports", "emails", "reports with 404 not_found: no worker is mounted for it"),
        ("/queues/emails", "reports", "emails with 404 not_found: the body names another queue"),
    ],
)
async def test_a_delivery_for_another_queue_answers_404(
    path: str, queue: str, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    answer = await send(make(), encode(delivery(queue=queue)), path=path)
    assert (answer.status, answer.json) == (404, {"error": "not_found"})
    assert caplog.messages == [f"refused a delivery for queue {reason}"]


FORGED = seal(GOOD, secrets=[OTHER_SECRET])
OLD = seal(GOOD, at=NOW - 301)


@pytest.mark.parametrize(
    ("method", "path", "headers", "body", "status"),
    [
        ("GET", "/nothing", [], b"", 404),
        ("GET", "/queues/emails", [], b"", 405),
        ("POST", "/queues/emails", FORGED, GOOD, 415),
        ("POST", "/queues/emails", [JSON, (b"content-length", b"5000")], b"x" * 5000, 401),
        ("POST", "/queues/emails", [JSON, (b"content-length", b"5000"), *OLD], b"x" * 5000, 401),
        ("POST", "/queues/emails", [JSON, (b"content-length", b"5000"), *FORGED], b"x" * 5000, 413),
        ("POST", "/queues/emails", [JSON, *FORGED], b"x" * 5000, 413),
        ("POST", "/queues/emails", [JSON, *FORGED], b"not JSON", 401),
        ("POST", "/queues/reports", [JSON, *FORGED], GOOD, 401),
        ("POST", "/queues/reports", signed(b"not JSON"), b"not JSON", 400),
        ("POST", "/queues/reports", signed(GOOD), GOOD, 404),
    ],
    ids=[
        "path before method",
        "method before type",
        "type before signature",
        "headers before size",
        "timestamp before size",
        "declared size before signature",
        "counted size before signature",
        "signature before JSON",
        "signature before queue",
        "JSON before queue",
        "queue last",
    ],
)
async def test_the_first_step_that_refuses_decides(
    method: str, path: str, headers: HeaderList, body: bytes, status: int
) -> None:
    answer = await send(make(max_body_size=1000), body, method=method, path=path, headers=headers)
    assert answer.status == status


async def test_a_refusal_echoes_and_logs_nothing_of_the_request(caplog: pytest.LogCaptureFixture) -> None:
    canary = b"CANARY"
    body = encode(delivery(deliveryId="CANARY", queue="CANARY", timeout="CANARY"))
    headers = [*signed(body, id="CANARY"), (b"host", canary), (b"x-forwarded-for", canary)]
    answer = await send(make(), body, headers=headers, query_string=canary)
    told = answer.body + repr(answer.headers.items).encode() + caplog.text.encode()
    assert canary not in told


async def test_a_delivery_that_passes_every_step_is_run() -> None:
    assert await deliver(make()) == {"outcome": "completed", "returnValue": "done"}


async def test_a_delivery_is_run_over_an_http_client() -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(make()), base_url="https://app.example") as client:
        headers = httpx.Headers([(name, value) for name, value in signed(GOOD) if name != b"content-length"])
        answer = await client.post("/queues/emails", content=GOOD, headers=headers)
    assert (answer.status_code, answer.json()) == (200, {"outcome": "completed", "returnValue": "done"})


async def test_a_queue_name_is_read_percent_decoded() -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(make()), base_url="https://app.example") as client:
        headers = httpx.Headers([(name, value) for name, value in signed(GOOD) if name != b"content-length"])
        answer = await client.post("/queues/%65mails", content=GOOD, headers=headers)
    assert answer.status_code == 200


async def test_an_outcome_is_signed_under_the_secret_that_verified_the_request() -> None:
    app = make(webhook_secrets=[OTHER_SECRET, SECRET])
    assert await deliver(app) == {"outcome": "completed", "returnValue": "done"}


async def test_an_outcome_carries_the_delivery_id_and_the_time_of_the_answer() -> None:
    answer = await send(make(), GOOD)
    assert (answer.headers.all(b"x-nextmq-id"), answer.headers.all(b"x-nextmq-timestamp")) == (
        [b"dlv_1"],
        [b"%d" % NOW],
    )


async def test_a_handler_without_a_secret_refuses_and_the_log_names_the_variable(
    caplog: pytest.LogCaptureFixture,
) -> None:
    answer = await send(make(webhook_secrets=None), GOOD)
    assert (answer.status, answer.json) == (401, {"error": "unauthorized"})
    assert caplog.messages == [
        "refused a delivery for queue emails with 401 unauthorized: "
        "NEXTMQ_URL is not set, so the handler has no secret"
    ]


async def test_a_handler_without_a_secret_reads_one_that_is_set_later(monkeypatch: pytest.MonkeyPatch) -> None:
    app = make(webhook_secrets=None)
    monkeypatch.setenv("NEXTMQ_URL", URL)
    assert (await send(app, GOOD)).status == 200


async def test_a_secret_set_later_that_cannot_work_refuses_and_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    app = make(webhook_secrets=None)
    monkeypatch.setenv("NEXTMQ_WEBHOOK_SECRETS", "short")
    assert (await send(app, GOOD)).status == 401
    assert "unauthorized: NEXTMQ_WEBHOOK_SECRETS is too short" in caplog.text
