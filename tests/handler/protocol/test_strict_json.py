"""Strict JSON: what `parse` makes of compact text, of text with white space around it, and of what is no JSON."""

from __future__ import annotations

import json
import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextmq_handler.protocol import strict_json

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
VALUES: st.SearchStrategy[t.Any] = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20
)
SPACE = st.text(" \t\r\n", max_size=3)


@given(VALUES, SPACE, SPACE)
def test_white_space_around_a_value_changes_nothing(value: t.Any, before: str, after: str) -> None:
    assert strict_json.parse(before + json.dumps(value) + after) == value


# fmt: off
NO_JSON = (
    "", " ", "nul", "nulll", "null null", "{} {}", "{},", "1 2", "1]", '"a" "b"', '"a', "[1", "[1,]",
    '{"a"}', "{1:2}",
    "NaN", "Infinity", "-Infinity", "[NaN]", "1e999", "-1e999", "\ufeff{}", "\x00", "{}\x00", "\u00a01", "1\u00a0",
    "'a'", "[" * 100_000,
)
# fmt: on


@pytest.mark.parametrize("text", NO_JSON, ids=lambda text: ascii(text)[:20])
def test_what_is_not_exactly_one_value_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the decoder's words are Python's own
        strict_json.parse(text)
