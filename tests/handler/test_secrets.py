"""Webhook secrets: which texts are valid, the error for the others, and that none is ever shown."""

import base64
import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextmq_handler import ConfigurationError
from nextmq_handler.protocol.signing import Secret, generate_secret, parse_secret
from tests.support.handler import OTHER_SECRET, SECRET


def whsec(key: bytes) -> str:
    return "whsec_" + base64.b64encode(key).decode()


@pytest.mark.parametrize("size", [24, 25, 48, 64])
def test_a_whsec_secret_of_24_to_64_bytes_is_taken_as_those_bytes(size: int) -> None:
    key = bytes(range(size))
    assert parse_secret(whsec(key)) == Secret(key)


@pytest.mark.parametrize("text", ["x" * 24, "ä" * 12, "x" * 200, "WHSEC_" + "x" * 24])
def test_a_secret_without_the_prefix_is_taken_as_its_bytes(text: str) -> None:
    assert parse_secret(text) == Secret(text.encode())


BAD = [
    pytest.param("CANARY" + "x" * 17, "too short: 23 bytes", id="plain, 23 bytes"),
    pytest.param("", "too short: 0 bytes", id="empty"),
    pytest.param(whsec(b"CANARY" + b"x" * 17), "holds 23 bytes", id="whsec_, 23 bytes"),
    pytest.param(whsec(b"CANARY" + b"x" * 59), "holds 65 bytes", id="whsec_, 65 bytes"),
    pytest.param("whsec_", "holds 0 bytes", id="whsec_ alone"),
    pytest.param("whsec_CANARY*" + "A" * 30, "not base64", id="junk in base64"),
    pytest.param("whsec_CANARYA" + "A" * 32, "not base64", id="padding missing"),
    pytest.param("whsec_CANARY" + "A" * 30 + "ä", "not base64", id="not ASCII"),
    pytest.param("whsec_CANARY-_" + "A" * 32, "not base64", id="URL-safe alphabet"),
    pytest.param("whsec_CANARY%2B" + "A" * 32, "not base64", id="percent-encoded"),
]


@pytest.mark.parametrize(("text", "reason"), BAD)
def test_a_secret_that_cannot_work_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        parse_secret(text)


@pytest.mark.parametrize(("text", "reason"), BAD)
def test_the_error_names_where_the_secret_came_from(text: str, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=r"\ANEXTMQ_WEBHOOK_SECRETS "):
        parse_secret(text, source="NEXTMQ_WEBHOOK_SECRETS")


@pytest.mark.parametrize(("text", "reason"), [bad for bad in BAD if "CANARY" in str(bad.values[0])])
def test_the_error_does_not_hold_the_secret(text: str, reason: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_secret(text)
    assert "CANARY" not in "".join(traceback.format_exception(caught.value))


@given(text=st.text(alphabet="ABCDEFxyz019+/=_-%* ä\ud800", max_size=80), prefix=st.sampled_from(["", "whsec_"]))
def test_any_text_is_a_secret_or_a_configuration_error_without_it(text: str, prefix: str) -> None:
    canary = "QzQ9Q8Q7"
    try:
        shown = repr(parse_secret(prefix + text + canary))
    except ConfigurationError as exc:
        shown = str(exc)
    assert canary not in shown


def test_the_repr_of_a_secret_is_its_id() -> None:
    assert repr(parse_secret(SECRET)) == f"<Secret {parse_secret(SECRET).id}>"


def test_the_id_of_a_secret_is_the_published_one() -> None:
    # HMAC-SHA256 of "nextmq secret id" under 32 bytes of 0x61, its first eight hex digits.
    assert parse_secret("a" * 32).id == "d9964e50"


@pytest.mark.parametrize(("other", "same"), [(SECRET, True), (OTHER_SECRET, False)])
def test_secrets_are_equal_where_their_bytes_are(other: str, same: bool) -> None:
    assert (parse_secret(SECRET) == parse_secret(other)) is same


def test_equal_secrets_have_equal_hashes() -> None:
    assert len({parse_secret(SECRET), parse_secret(SECRET)}) == 1


@pytest.mark.parametrize("character", ["+", "/"])
def test_a_generated_secret_is_drawn_again_until_it_needs_no_escaping(character: str) -> None:
    needs_escaping = base64.b64decode(character + "A" * 31)
    draws = [needs_escaping, needs_escaping, bytes(24)]
    assert generate_secret(lambda size: draws.pop(0)) == whsec(bytes(24))


def test_a_generated_secret_asks_for_24_bytes() -> None:
    sizes: list[int] = []

    def random(size: int) -> bytes:
        sizes.append(size)
        return bytes(size)

    generate_secret(random)
    assert sizes == [24]


def test_a_generated_secret_is_one() -> None:
    text = generate_secret()
    assert whsec(base64.b64decode(text.removeprefix("whsec_"))) == text


def test_two_generated_secrets_differ() -> None:
    assert generate_secret() != generate_secret()
