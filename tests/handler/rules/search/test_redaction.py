"""What viewers see of jobs has no secrets in it."""

from __future__ import annotations

import json
import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextmq_handler.rules.search.redaction import HIDDEN, MAX_PARSED, NAMES, Redaction
from nextmq_handler.rules.views import new_job_view

SECRET = "hunter2"
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.just(SECRET),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from(NAMES), st.sampled_from(["", "user_", "x-", "old"]), st.booleans(), values)
def test_the_value_of_a_named_member_is_hidden_at_any_depth_and_in_any_spelling(
    name: str, before: str, is_upper: bool, value: t.Any
) -> None:
    spelt = name.title().replace(" ", "") if before == "old" else name.replace(" ", "_")
    spelt = before + (spelt.upper() if is_upper and before != "old" else spelt)
    shown = Redaction().value([{"a": {spelt: value if isinstance(value, str) else [SECRET, value]}}])
    assert SECRET not in json.dumps(shown)


@pytest.mark.parametrize("name", ["maxTokens", "discard", "cardinality", "secretary", "passenger", "author"])
def test_a_name_that_only_looks_like_one_is_shown(name: str) -> None:
    assert Redaction().value({name: 5}) == {name: 5}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("key nmq_aB3-x_y in use", f"key {HIDDEN} in use"),
        ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", HIDDEN),
        ("Authorization: Bearer abc.def-1=", f"Authorization: {HIDDEN}"),
        ("eyJhbGciOiJI.eyJzdWIiOiIx.SflKxw", HIDDEN),
        ("redis://user:pa55@host:6379/0", f"redis://{HIDDEN}@host:6379/0"),
        ("card 4111 1111-1111 1111.", f"card {HIDDEN}."),
        ("4111111111111112 and 1764539086000", "4111111111111112 and 1764539086000"),
    ],
)
def test_secrets_in_texts_are_hidden_wherever_they_stand(text: str, shown: str) -> None:
    assert Redaction().text(text) == shown
    assert Redaction().value({"a": [text]}) == {"a": [shown]}


def test_names_are_added_and_taken_away() -> None:
    redaction = Redaction(also=["phone_number"], never=["card"])
    assert redaction.value({"phoneNumber": "1", "card": "2"}) == {"phoneNumber": HIDDEN, "card": "2"}


def test_every_part_of_a_job_is_redacted() -> None:
    text = "Bearer hunter2"
    job = new_job_view("1", "failed", 1, name=text, data={"password": SECRET}, opts={"telemetry": text})
    job = {**job, "progress": text, "returnValue": [text], "failedReason": text, "stacktrace": [text]}
    job["deliveries"] = [{"deliveryId": "1", "at": 1, "status": 1, "ms": 1, "outcome": "failed", "detail": text}]
    assert SECRET not in json.dumps(Redaction().job(job))


def test_data_that_would_take_long_is_not_shown() -> None:
    assert Redaction().bounded(["x" * MAX_PARSED]) == "[64 kB, not shown]"
