"""Whatever is sent to the ASGI app, it answers: no exception leaves it, and no answer is a 5xx."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextmq_handler import Worker
from tests.support.handler import (
    JSON,
    NOW,
    OTHER_SECRET,
    SECRET,
    HeaderList,
    deliver,
    delivery,
    encode,
    json_values,
    make_handler,
    seal,
    send,
)

pytestmark = pytest.mark.anyio

GOOD = encode(delivery())
app = make_handler(Worker("emails", lambda job: job.data), max_body_size=len(GOOD) + 100)

methods = st.sampled_from(["POST", "GET", "HEAD", "OPTIONS"]) | st.text(max_size=8)
paths = (
    st.sampled_from(["/queues/emails", "/queues/reports", "/queues/", "/health", "/", ""])
    | st.text(max_size=20)
    | st.text(max_size=20).map("/queues/{}".format)
)
header_names = st.sampled_from(
    [
        b"content-type",
        b"content-length",
        b"content-encoding",
        b"x-nextmq-id",
        b"x-nextmq-timestamp",
        b"X-NextMQ-Signature",
        b"transfer-encoding",
    ]
) | st.binary(max_size=10)
header_values = st.sampled_from(
    [b"application/json", b"identity", b"0", b"dlv_1", b"%d" % NOW, b"v1,"]
) | st.binary(max_size=30)
headers = st.lists(st.tuples(header_names, header_values), max_size=6)
changes = st.dictionaries(st.sampled_from([*delivery()]), json_values, max_size=2)
job_changes = st.dictionaries(st.sampled_from([*delivery()["job"]]), json_values, max_size=2)
bodies = (
    st.binary(max_size=len(GOOD) * 2)
    | json_values.map(encode)
    | changes.map(lambda members: encode(delivery() | members))
    | job_changes.map(lambda members: encode(delivery(job=members)))
    | st.tuples(st.integers(0, len(GOOD)), st.binary(max_size=5)).map(lambda cut: GOOD[: cut[0]] + cut[1])
)
CODES = {
    400: b'{"error":"invalid_body"}',
    401: b'{"error":"unauthorized"}',
    404: b'{"error":"not_found"}',
    405: b'{"error":"method_not_allowed"}',
    413: b'{"error":"payload_too_large"}',
    415: b'{"error":"unsupported_media_type"}',
}


@given(method=methods, path=paths, head=headers, body=bodies)
async def test_any_unsigned_request_is_refused_with_a_stable_code(
    method: str, path: str, head: HeaderList, body: bytes
) -> None:
    answer = await send(app, body, method=method, path=path, headers=head)
    expected = b"" if method == "HEAD" else CODES.get(answer.status, b'{"status":"ok"}')
    assert answer.body == expected


@given(path=paths, more=headers, body=bodies, secret=st.sampled_from([SECRET, OTHER_SECRET]))
async def test_any_signed_request_is_answered_with_an_outcome_or_a_stable_code(
    path: str, more: HeaderList, body: bytes, secret: str
) -> None:
    answer = await send(app, body, path=path, headers=[JSON, *seal(body, secrets=[secret]), *more])
    assert answer.status == 200 or answer.body == CODES[answer.status]


@given(body=bodies)
async def test_any_body_under_a_forged_signature_is_refused_before_it_is_read(body: bytes) -> None:
    answer = await send(app, body, headers=[JSON, *seal(body, secrets=[OTHER_SECRET])])
    assert answer.status == (413 if len(body) > len(GOOD) + 100 else 401)


@given(value=json_values)
async def test_any_data_that_a_processor_returns_comes_back(value: object) -> None:
    roomy = make_handler(Worker("emails", lambda job: job.data))
    content = delivery(job={"data": value})
    assert await deliver(roomy, content) == {"outcome": "completed", "returnValue": value}


@given(message=st.text(alphabet=st.characters(exclude_categories=()), max_size=40))
async def test_any_text_of_an_exception_is_answered(message: str) -> None:
    def process(job: object) -> None:
        raise ValueError(message)

    outcome = await deliver(make_handler(Worker("emails", process)))
    assert outcome["error"]["message"] == message.encode("utf-8", "replace").decode()
