"""Outcomes: objects to bytes and back."""

import json
import typing as t
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextmq_handler.protocol.outcomes import (
    MAX_MESSAGE_SIZE,
    MAX_STACK_SIZE,
    Completed,
    Delayed,
    Failed,
    Outcome,
    OutcomeName,
    RateLimited,
    WaitingChildren,
    clip,
    encode_outcome,
    parse_answer,
    parse_outcome,
)
from nextmq_handler.protocol.wire import WireError
from tests.support.handler import json_values

ONE_DAY = 86_400_000
BAD_DELAYS: list[object] = [0, -1, ONE_DAY + 1, 1.5, 1.0, True, "1", None, [1]]
BAD_TIMESTAMPS: list[object] = [-1, 2_100_000_000_000, 1.5, 1.0, True, "1", None, {}]
outcomes: st.SearchStrategy[Outcome] = st.one_of(
    st.builds(Completed, json_values),
    st.builds(
        Failed,
        st.text(min_size=1, max_size=99),
        st.text(max_size=99),
        st.text(max_size=99),
        unrecoverable=st.booleans(),
    ),
    st.builds(RateLimited, st.integers(1, ONE_DAY)),
    st.builds(Delayed, st.integers(0, 2_099_999_999_999)),
    st.builds(WaitingChildren),
)


def members(outcome: Outcome) -> tuple[str, dict[str, t.Any]]:
    return type(outcome).__name__, vars(outcome)


def sent(outcome: Outcome, **options: t.Any) -> dict[str, t.Any]:
    return t.cast("dict[str, t.Any]", json.loads(encode_outcome(outcome, **options)))


@given(outcome=outcomes)
def test_an_outcome_comes_back_as_it_was_sent(outcome: Outcome) -> None:
    assert members(parse_outcome(encode_outcome(outcome))) == members(outcome)


@pytest.mark.parametrize(
    ("outcome", "body"),
    [
        (Completed(None), {"outcome": "completed", "returnValue": None}),
        (Completed({"a": [1, "ä"]}), {"outcome": "completed", "returnValue": {"a": [1, "ä"]}}),
        (Failed("E", "m", "s"), {"outcome": "failed", "error": {"name": "E", "message": "m", "stack": "s"}}),
        (
            Failed("E", "m", unrecoverable=True),
            {"outcome": "failed", "unrecoverable": True, "error": {"name": "E", "message": "m", "stack": ""}},
        ),
        (RateLimited(1500), {"outcome": "rateLimited", "delay": 1500}),
        (Delayed(1_900_000_000_000), {"outcome": "delayed", "timestamp": 1_900_000_000_000}),
        (WaitingChildren(), {"outcome": "waitingChildren"}),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, dict) else "",
)
def test_an_outcome_is_spelled_as_the_protocol_says(outcome: Outcome, body: dict[str, t.Any]) -> None:
    assert sent(outcome) == body


class Unreadable(dict[str, int]):
    def items(self) -> t.Any:
        raise KeyError("the rows are gone")


def circle() -> list[t.Any]:
    value: list[t.Any] = []
    value.append(value)
    return value


def deep(levels: int) -> list[t.Any]:
    value: list[t.Any] = []
    for _ in range(levels - 1):
        value = [value]
    return value


def numbers() -> Iterator[int]:
    yield 1


@pytest.mark.parametrize(
    "value",
    [
        object(),
        {1, 2},
        b"bytes",
        numbers(),
        {("a", "b"): 1},
        float("nan"),
        float("inf"),
        [1, {"a": float("-inf")}],
        circle(),
        deep(100),
        deep(100_000),
        10**5000,
        Unreadable(a=1),
    ],
    ids=[
        "object",
        "set",
        "bytes",
        "generator",
        "tuple as a key",
        "NaN",
        "Infinity",
        "-Infinity inside",
        "circle",
        "101 levels with the outcome",
        "100000 levels",
        "5000 digits",
        "a mapping that raises",
    ],
)
def test_a_return_value_that_json_cannot_carry_is_an_unrecoverable_failure(value: object) -> None:
    body = sent(Completed(value))
    assert (body["outcome"], body.get("unrecoverable"), body["error"]["name"]) == (
        "failed",
        True,
        "ReturnValueError",
    )


def test_a_return_value_may_fill_the_depth_that_the_outcome_leaves() -> None:
    assert sent(Completed(deep(99))) == {"outcome": "completed", "returnValue": deep(99)}


def test_an_outcome_of_exactly_the_servers_limit_is_sent() -> None:
    size = len(encode_outcome(Completed("x")))
    assert sent(Completed("x"), max_size=size) == {"outcome": "completed", "returnValue": "x"}


def test_an_outcome_over_the_servers_limit_is_an_unrecoverable_failure() -> None:
    body = sent(Completed("x" * 1000), max_size=1000)
    assert (body["outcome"], body.get("unrecoverable"), body["error"]["name"]) == (
        "failed",
        True,
        "ReturnValueError",
    )


@pytest.mark.parametrize("unrecoverable", [False, True])
def test_a_failure_over_the_servers_limit_stays_that_failure(unrecoverable: bool) -> None:
    body = sent(Failed("E", "m" * 4000, "s" * 4000, unrecoverable=unrecoverable), max_size=1000)
    error = {"name": "E", "message": "m" * 200, "stack": ""}
    assert (body.get("unrecoverable", False), body["error"]) == (unrecoverable, error)


@pytest.mark.parametrize(("member", "limit"), [("message", MAX_MESSAGE_SIZE), ("stack", MAX_STACK_SIZE)])
@pytest.mark.parametrize("character", ["x", "ä", "€", "😀"])
def test_the_texts_of_a_failure_are_cut_at_their_size_in_bytes(member: str, limit: int, character: str) -> None:
    width = len(character.encode())
    texts = {"message": "", member: character * limit}
    body = sent(Failed("E", texts["message"], texts.get("stack", "")))
    assert body["error"][member] == character * (limit // width)


@pytest.mark.parametrize("member", ["name", "message", "stack"])
def test_a_lone_surrogate_is_replaced(member: str) -> None:
    texts = {"name": "E", "message": "", "stack": "", member: "a\ud800b"}
    body = sent(Failed(*texts.values()))
    assert body["error"][member] == "a?b"


@given(text=st.text(alphabet=st.characters(exclude_categories=())), size=st.integers(0, 40))
def test_a_clipped_text_is_utf8_of_at_most_its_size(text: str, size: int) -> None:
    assert len(clip(text, size).encode()) <= size


@given(text=st.text(), size=st.integers(0, 40))
def test_a_clipped_text_is_a_start_of_the_text(text: str, size: int) -> None:
    assert text.startswith(clip(text, size))


@given(text=st.text(max_size=10))
def test_a_text_that_fits_is_not_clipped(text: str) -> None:
    assert clip(text, 40) == text


@pytest.mark.parametrize(
    "body",
    [
        {"outcome": "rateLimited"},
        *({"outcome": "rateLimited", "delay": delay} for delay in BAD_DELAYS),
        {"outcome": "delayed"},
        *({"outcome": "delayed", "timestamp": timestamp} for timestamp in BAD_TIMESTAMPS),
        {"outcome": "failed", "error": None},
        {"outcome": "failed", "error": "broken"},
        {"outcome": "failed", "error": ["broken"]},
        {"outcome": "done"},
        {"outcome": "Completed"},
        {"outcome": None},
        {"outcome": ["completed"]},
        {},
        {"status": "ok"},
        [],
        None,
        "completed",
    ],
    ids=json.dumps,
)
def test_what_is_not_an_outcome_is_refused(body: object) -> None:
    with pytest.raises(WireError):
        parse_outcome(json.dumps(body).encode())


@pytest.mark.parametrize("unrecoverable", [None, 1, "true", [True]])
def test_a_failure_is_unrecoverable_only_where_it_says_true(unrecoverable: object) -> None:
    outcome = parse_outcome(json.dumps({"outcome": "failed", "unrecoverable": unrecoverable}).encode())
    assert isinstance(outcome, Failed)
    assert not outcome.unrecoverable


def test_a_failure_without_an_error_has_a_name() -> None:
    assert members(parse_outcome(b'{"outcome":"failed"}')) == members(Failed("Error", ""))


def test_an_outcome_keeps_the_texts_of_another_sdk_within_their_sizes() -> None:
    error = {"name": "n" * 9999, "message": "m" * 9999, "stack": "s" * 99_999}
    outcome = parse_outcome(json.dumps({"outcome": "failed", "error": error}).encode())
    assert isinstance(outcome, Failed)
    assert (len(outcome.name), len(outcome.message), len(outcome.stack)) == (4096, 4096, 20480)


@given(body=st.binary(max_size=200))
def test_any_bytes_are_an_outcome_or_a_wire_error(body: bytes) -> None:
    with pytest.raises(WireError):
        parse_outcome(body)


@given(
    content=st.fixed_dictionaries(
        {"outcome": st.sampled_from(["completed", "failed", "rateLimited", "delayed", "waitingChildren"])},
        optional=dict.fromkeys(("returnValue", "error", "unrecoverable", "delay", "timestamp"), json_values),
    )
)
def test_any_members_are_an_outcome_or_a_wire_error(content: dict[str, t.Any]) -> None:
    try:
        result: Outcome | WireError = parse_outcome(json.dumps(content).encode())
    except WireError as exc:
        result = exc
    assert isinstance(result, (Completed, Failed, RateLimited, Delayed, WaitingChildren, WireError))


@given(outcome=outcomes, size=st.integers(0, 200))
def test_any_outcome_under_any_limit_is_an_outcome(outcome: Outcome, size: int) -> None:
    assert isinstance(parse_outcome(encode_outcome(outcome, max_size=size)), (type(outcome), Failed))


def test_the_names_of_outcomes_are_those_of_their_classes() -> None:
    assert {kind.outcome for kind in t.get_args(Outcome)} == {*t.get_args(OutcomeName)}


@pytest.mark.parametrize(
    ("worker", "told"),
    [
        ({"fingerprint": "f-1"}, "f-1"),
        ({"fingerprint": "x" * 64}, "x" * 64),
        ({"fingerprint": "x" * 65}, ""),
        ({"fingerprint": 1}, ""),
        ({"fingerprint": None}, ""),
        ({}, ""),
        (None, ""),
        ([], ""),
        ("f-1", ""),
    ],
)
def test_an_outcome_may_tell_who_answers_and_is_one_whatever_it_tells(worker: object, told: str) -> None:
    body = json.dumps({"outcome": "completed", "returnValue": 1, "worker": worker}).encode()
    assert parse_answer(body) == (Completed(1), told)


def test_the_fingerprint_of_who_answers_goes_with_the_outcome() -> None:
    assert parse_answer(encode_outcome(Completed(1), fingerprint="f-1")) == (Completed(1), "f-1")


def test_a_result_that_fits_only_without_the_fingerprint_is_sent_without_it() -> None:
    size = len(encode_outcome(Completed("x" * 100)))
    assert parse_answer(encode_outcome(Completed("x" * 100), max_size=size, fingerprint="f-1")) == (
        Completed("x" * 100),
        "",
    )
