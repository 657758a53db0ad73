"""The body of a delivery: what is read, and what is refused."""

import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextmq_handler.protocol.wire import MAX_OUTCOME_SIZE, Delivery, WireError, parse_delivery
from tests.support.handler import delivery, encode, json_values


def parse(content: object) -> Delivery:
    return parse_delivery(encode(content), "dlv_1")


def without(member: str) -> dict[str, t.Any]:
    content = delivery()
    holder, _, name = member.rpartition(".")
    del (content[holder] if holder else content)[name]
    return content


def nested(depth: int, pair: str = "[]") -> bytes:
    """Return a delivery whose deepest value is `depth` levels deep: the body and its job are two of them."""
    inner = {"[]": "[" * (depth - 2) + "]" * (depth - 2), "{}": '{"a":' * (depth - 2) + "0" + "}" * (depth - 2)}[
        pair
    ]
    return encode(delivery(job={"data": "HERE"})).replace(b'"HERE"', inner.encode())


def test_every_member_of_a_delivery_is_read() -> None:
    read = parse(
        delivery(
            worker={"fingerprint": "f1"},
            maxOutcomeBytes=77,
            job={
                "data": [1, None],
                "opts": {"attempts": 3},
                "attemptsMade": 1,
                "attemptsStarted": 2,
                "stalledCounter": 3,
                "priority": 4,
                "delay": 5,
                "timestamp": 6,
                "processedOn": 7,
                "progress": {"done": 8},
                "parent": {"id": "9", "queue": "reports"},
            },
        )
    )
    job = read.job
    assert (read.id, read.queue, read.timeout, read.max_outcome_size, read.fingerprint) == (
        "dlv_1",
        "emails",
        30_000,
        77,
        "f1",
    )
    assert vars(job) == {
        "id": "42",
        "name": "welcome",
        "data": [1, None],
        "opts": {"attempts": 3},
        "attempts_made": 1,
        "attempts_started": 2,
        "stalled_counter": 3,
        "priority": 4,
        "delay": 5,
        "timestamp": 6,
        "processed_on": 7,
        "progress": {"done": 8},
        "parent": {"id": "9", "queue": "reports"},
    }


@pytest.mark.parametrize(
    "content",
    [
        delivery(color="red"),
        delivery(job={"color": "red"}),
        delivery(worker={"fingerprint": "f1", "color": "red"}),
        delivery(job={"parent": {"id": "1", "queue": "q", "color": "red"}}),
    ],
    ids=["delivery", "job", "worker", "parent"],
)
def test_members_that_are_not_known_are_ignored(content: dict[str, t.Any]) -> None:
    assert parse(content).id == "dlv_1"


@pytest.mark.parametrize(
    ("member", "attribute", "value"),
    [
        ("maxOutcomeBytes", "max_outcome_size", MAX_OUTCOME_SIZE),
        ("worker", "fingerprint", ""),
        ("job.data", "job.data", None),
        ("job.opts", "job.opts", {}),
        ("job.attemptsMade", "job.attempts_made", 0),
        ("job.attemptsStarted", "job.attempts_started", 1),
        ("job.stalledCounter", "job.stalled_counter", 0),
        ("job.priority", "job.priority", 0),
        ("job.delay", "job.delay", 0),
        ("job.timestamp", "job.timestamp", 0),
        ("job.processedOn", "job.processed_on", 0),
        ("job.progress", "job.progress", 0),
        ("job.parent", "job.parent", None),
    ],
)
def test_a_member_that_may_be_missing_has_a_default(member: str, attribute: str, value: object) -> None:
    read: t.Any = parse(without(member))
    for name in attribute.split("."):
        read = getattr(read, name)
    assert read == value


@pytest.mark.parametrize("member", ["deliveryId", "queue", "timeout", "job", "job.id", "job.name"])
def test_a_member_that_is_needed_is_named_where_it_is_missing(member: str) -> None:
    with pytest.raises(WireError, match=rf"\A{member} is not"):
        parse(without(member))


TEXTS = ["deliveryId", "queue", "job.id", "job.name", "job.parent.id", "job.parent.queue", "worker.fingerprint"]
INTEGERS = [
    "timeout",
    "maxOutcomeBytes",
    "job.attemptsMade",
    "job.attemptsStarted",
    "job.stalledCounter",
    "job.priority",
    "job.delay",
    "job.timestamp",
    "job.processedOn",
]
OBJECTS = ["job", "job.opts", "job.parent", "worker"]
WRONG = [
    *((name, value) for name in TEXTS for value in (None, 1, True, ["a"], {"a": 1})),
    *((name, value) for name in INTEGERS for value in (None, "1", True, 1.0, 1.5, -1, 2**53 + 1, [1], {"a": 1})),
    *((name, value) for name in OBJECTS for value in ("a", 1, True, ["a"])),
    ("job", None),
    ("job.opts", None),
    ("timeout", 0),
]


@pytest.mark.parametrize(("member", "value"), WRONG)
def test_a_member_of_the_wrong_type_is_refused_by_name(member: str, value: object) -> None:
    content = delivery(job={"parent": {"id": "1", "queue": "q"}})
    holder: t.Any = content
    *path, last = member.split(".")
    for name in path:
        holder = holder[name]
    holder[last] = value
    with pytest.raises(WireError, match=rf"\A{member} is not"):
        parse(content)


@pytest.mark.parametrize("member", INTEGERS)
def test_the_largest_integer_is_that_of_a_double(member: str) -> None:
    content = delivery()
    holder = content["job"] if member.startswith("job.") else content
    holder[member.removeprefix("job.")] = 2**53
    assert parse(content).id == "dlv_1"


GOOD = encode(delivery())
HOLE = encode(delivery(job={"data": "HERE"}))
NOT_STRICT_JSON = {
    "empty": b"",
    "white space": b" ",
    "not JSON": b"welcome",
    "cut off": GOOD[:-1],
    "more after it": GOOD + b"{}",
    "single quotes": GOOD.replace(b'"', b"'"),
    "a trailing comma": GOOD[:-1] + b",}",
    "a comment": GOOD + b"// done",
    "NaN": HOLE.replace(b'"HERE"', b"NaN"),
    "Infinity": HOLE.replace(b'"HERE"', b"Infinity"),
    "-Infinity": HOLE.replace(b'"HERE"', b"-Infinity"),
    "a number over a double": HOLE.replace(b'"HERE"', b"1e999"),
    "a negative number over a double": HOLE.replace(b'"HERE"', b"-1e999"),
    "an integer of 5000 digits": HOLE.replace(b'"HERE"', b"9" * 5000),
    "a raw control character": HOLE.replace(b"HERE", b"\x00"),
    "not UTF-8": HOLE.replace(b"HERE", b"\xff\xfe"),
    "a surrogate in UTF-8": HOLE.replace(b"HERE", b"\xed\xa0\x80"),
    "a byte order mark": b"\xef\xbb\xbf" + GOOD,
    "UTF-16": GOOD.decode().encode("utf-16"),
    "UTF-16 without a mark": GOOD.decode().encode("utf-16-le"),
    "UTF-32": GOOD.decode().encode("utf-32"),
    "arrays 101 deep": nested(101),
    "objects 101 deep": nested(101, "{}"),
    "200000 deep": b"[" * 200_000,
    "200000 deep and whole": b"[" * 200_000 + b"]" * 200_000,
    "objects 200000 deep": b'{"a":' * 200_000,
}


@pytest.mark.parametrize("body", NOT_STRICT_JSON.values(), ids=NOT_STRICT_JSON)
def test_what_is_not_strict_json_is_refused(body: bytes) -> None:
    with pytest.raises(WireError, match=r"\Athe body is not strict JSON"):
        parse_delivery(body, "dlv_1")


@pytest.mark.parametrize("body", [b"null", b"1", b"true", b'"a"', b"[]", b"[{}]"])
def test_json_that_is_not_an_object_is_refused(body: bytes) -> None:
    with pytest.raises(WireError, match=r"\Athe body is not an object"):
        parse_delivery(body, "dlv_1")


@pytest.mark.parametrize("pair", ["[]", "{}"])
def test_a_body_100_levels_deep_is_read(pair: str) -> None:
    assert parse_delivery(nested(100, pair), "dlv_1").id == "dlv_1"


def test_many_brackets_side_by_side_are_not_deep() -> None:
    assert parse(delivery(job={"data": [[]] * 1000})).job.data == [[]] * 1000


def test_brackets_in_a_text_are_not_deep() -> None:
    assert parse(delivery(job={"data": "[" * 1000})).job.data == "[" * 1000


def test_the_delivery_id_is_that_of_the_header() -> None:
    with pytest.raises(WireError, match=r"\AdeliveryId is not the one of the header"):
        parse_delivery(encode(delivery(deliveryId="dlv_2")), "dlv_1")


@given(data=json_values)
def test_any_json_data_is_read_as_it_was_sent(data: object) -> None:
    assert parse(delivery(job={"data": data})).job.data == data


def read(body: bytes) -> Delivery | WireError:
    try:
        return parse_delivery(body, "dlv_1")
    except WireError as exc:
        return exc


@given(body=st.binary(max_size=300))
def test_any_bytes_are_a_delivery_or_a_wire_error(body: bytes) -> None:
    assert isinstance(read(body), WireError)


@given(start=st.integers(0, len(GOOD)), length=st.integers(0, 20), junk=st.binary(max_size=8))
def test_any_damage_to_a_delivery_is_a_delivery_or_a_wire_error(start: int, length: int, junk: bytes) -> None:
    assert isinstance(read(GOOD[:start] + junk + GOOD[start + length :]), (Delivery, WireError))


@given(content=st.dictionaries(st.sampled_from([*delivery()]), json_values))
def test_any_json_object_is_a_delivery_or_a_wire_error(content: dict[str, t.Any]) -> None:
    assert isinstance(read(encode(delivery() | content)), (Delivery, WireError))


@given(changes=st.dictionaries(st.sampled_from([*delivery()["job"]]), json_values, max_size=2))
def test_any_job_is_a_delivery_or_a_wire_error(changes: dict[str, t.Any]) -> None:
    assert isinstance(read(encode(delivery(job=changes))), (Delivery, WireError))


@pytest.mark.parametrize("body", [b"CANARY", encode({"CANARY": 1}), HOLE.replace(b"HERE", b"CANARY\x00")])
def test_a_wire_error_quotes_nothing_of_the_body(body: bytes) -> None:
    assert "CANARY" not in str(read(body))
