"""Signatures: sign, read the headers, verify; for requests and for outcomes."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
import standardwebhooks
from hypothesis import given
from hypothesis import strategies as st

from nextmq_handler.protocol.messages import Headers
from nextmq_handler.protocol.signing import (
    ID,
    OUTCOME,
    SIGNATURE,
    TIMESTAMP,
    Secret,
    SignatureError,
    parse_secret,
    read_seal,
    signature_headers,
    verify_outcome,
)
from nextmq_handler.testing.vectors import PATH, VECTORS, Vector
from tests.support.handler import NOW, OTHER_SECRET, SECRET

ROOT = Path(__file__).resolve().parents[3]
COPIES = [path for path in (PATH, ROOT.parent / "shared/vectors/signatures.json") if path.exists()]
KEY = parse_secret(SECRET)

ids = st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True)


def verdict(vector: Vector) -> str | None:
    """Return why a vector is refused, None if it is not."""
    headers = Headers(vector.headers)
    secrets = [parse_secret(secret) for secret in vector.secrets]
    try:
        if vector.delivery_id is not None:
            verify_outcome(headers, vector.body, secrets, delivery_id=vector.delivery_id, now=vector.now)
        else:
            read_seal(headers, now=vector.now).verify(vector.body, secrets)
    except SignatureError as exc:
        return exc.reason
    return None


@pytest.mark.parametrize("vector", VECTORS, ids=[f"{v.kind}: {v.name}" for v in VECTORS])
def test_a_published_vector_gets_its_verdict(vector: Vector) -> None:
    assert verdict(vector) == vector.reason


@pytest.mark.parametrize("vector", VECTORS, ids=[f"{v.kind}: {v.name}" for v in VECTORS])
def test_a_published_vector_has_a_reason_exactly_where_it_is_refused(vector: Vector) -> None:
    assert (vector.reason is None) == vector.ok


@pytest.mark.parametrize("copy", COPIES, ids=lambda path: path.parent.parent.name)
def test_every_copy_of_the_vectors_is_the_same(copy: Path) -> None:
    assert copy.read_bytes() == PATH.read_bytes()


@given(body=st.binary(), id=ids, context=st.sampled_from([b"", OUTCOME]))
def test_what_is_signed_verifies(body: bytes, id: str, context: bytes) -> None:
    headers = Headers(signature_headers([KEY], id, NOW, body, context=context))
    assert read_seal(headers, now=NOW).verify(body, [KEY], context=context) == KEY


@given(body=st.binary(min_size=1), position=st.integers(min_value=0), flip=st.integers(1, 255))
def test_one_changed_byte_of_the_body_is_noticed(body: bytes, position: int, flip: int) -> None:
    headers = Headers(signature_headers([KEY], "dlv_1", NOW, body))
    changed = bytearray(body)
    changed[position % len(body)] ^= flip
    with pytest.raises(SignatureError, match="signature_mismatch"):
        read_seal(headers, now=NOW).verify(bytes(changed), [KEY])


@given(body=st.binary(), secret=st.binary(min_size=24, max_size=64).filter(lambda key: Secret(key) != KEY))
def test_another_secret_does_not_verify(body: bytes, secret: bytes) -> None:
    headers = Headers(signature_headers([Secret(secret)], "dlv_1", NOW, body))
    with pytest.raises(SignatureError, match="signature_mismatch"):
        read_seal(headers, now=NOW).verify(body, [KEY])


@given(body=st.binary())
def test_a_request_signature_is_not_an_outcome_signature(body: bytes) -> None:
    headers = Headers(signature_headers([KEY], "dlv_1", NOW, body))
    with pytest.raises(SignatureError, match="signature_mismatch"):
        verify_outcome(headers, body, [KEY], delivery_id="dlv_1", now=NOW)


def test_each_active_secret_signs() -> None:
    other = parse_secret(OTHER_SECRET)
    headers = Headers(signature_headers([KEY, other], "dlv_1", NOW, b"{}"))
    assert [read_seal(headers, now=NOW).verify(b"{}", [key]) for key in (KEY, other)] == [KEY, other]


def test_the_secret_that_verified_is_the_one_returned() -> None:
    headers = Headers(signature_headers([KEY], "dlv_1", NOW, b"{}"))
    assert read_seal(headers, now=NOW).verify(b"{}", [parse_secret(OTHER_SECRET), KEY]) == KEY


@pytest.mark.parametrize("version", [b"v2", b"V1", b"v1 ", b"v", b""])
def test_a_right_digest_under_another_version_does_not_verify(version: bytes) -> None:
    *rest, (name, token) = signature_headers([KEY], "dlv_1", NOW, b"{}")
    headers = Headers([*rest, (name, token.replace(b"v1", version))])
    with pytest.raises(SignatureError, match="signature_mismatch"):
        read_seal(headers, now=NOW).verify(b"{}", [KEY])


def test_no_secret_verifies_nothing() -> None:
    headers = Headers(signature_headers([KEY], "dlv_1", NOW, b"{}"))
    with pytest.raises(SignatureError, match="signature_mismatch"):
        read_seal(headers, now=NOW).verify(b"{}", [])


names = st.sampled_from([ID, TIMESTAMP, SIGNATURE, b"X-NextMQ-Id", b"host"])
values = (
    st.binary(max_size=40)
    | st.sampled_from([b"dlv_1", b"%d" % NOW, b"v1,", b"v1,AAAA v1", b"v1,=", b"v1,A A,v1", b"\n"])
    | st.from_regex(rb"(v1,[A-Za-z0-9+/=]{0,48} ?){0,10}", fullmatch=True)
)


@given(headers=st.lists(st.tuples(names, values), max_size=6), body=st.binary(max_size=20))
def test_no_header_multimap_raises_anything_but_a_signature_error(
    headers: list[tuple[bytes, bytes]], body: bytes
) -> None:
    with pytest.raises(SignatureError):
        read_seal(Headers(headers), now=NOW).verify(body, [KEY])


@given(signatures=values)
def test_no_signature_header_raises_anything_but_a_signature_error(signatures: bytes) -> None:
    headers = Headers([(ID, b"dlv_1"), (TIMESTAMP, b"%d" % NOW), (SIGNATURE, signatures)])
    with pytest.raises(SignatureError):
        read_seal(headers, now=NOW).verify(b"{}", [KEY])


def test_tolerance_is_the_callers() -> None:
    headers = Headers(signature_headers([KEY], "dlv_1", NOW, b""))
    with pytest.raises(SignatureError, match="timestamp_too_old"):
        read_seal(headers, now=NOW + 11, tolerance=10)


def test_header_names_are_read_in_any_case() -> None:
    headers = Headers((name.upper(), value) for name, value in signature_headers([KEY], "dlv_1", NOW, b""))
    assert read_seal(headers, now=NOW).verify(b"", [KEY]) == KEY


@given(text=st.text(max_size=200), id=ids)
def test_standard_webhooks_verifies_what_a_whsec_secret_signed(text: str, id: str) -> None:
    # Its verify reads the real clock.
    at = int(datetime.now(UTC).timestamp())
    headers = signature_headers([KEY], id, at, text.encode())
    renamed = {name.decode().replace("x-nextmq-", "webhook-"): value.decode() for name, value in headers}
    assert renamed.keys() == {"webhook-id", "webhook-timestamp", "webhook-signature"}
    standardwebhooks.Webhook(SECRET).verify(text, renamed, json_parse=False)


@given(text=st.text(max_size=200), id=ids)
def test_what_standard_webhooks_signed_verifies(text: str, id: str) -> None:
    token = standardwebhooks.Webhook(SECRET).sign(id, datetime.fromtimestamp(NOW, UTC), text)
    headers = Headers([(ID, id.encode()), (TIMESTAMP, b"%d" % NOW), (SIGNATURE, token.encode())])
    assert read_seal(headers, now=NOW).verify(text.encode(), [KEY]) == KEY
