"""The size of JSON counts bytes of UTF-8, as BullMQ counts it in Node, and no escapes of it."""

from __future__ import annotations

import json
import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextmq_handler.protocol import strict_json
from nextmq_handler.rules.models import check_data_size
from nextmq_handler.rules.refusals import Refusal, check_size, json_size

NODE: list[tuple[t.Any, int]] = [
    (None, 4),
    ("", 2),
    ("a", 3),
    ("éé", 6),
    ("中文", 8),
    ("😀", 6),
    ("\ud800", 8),
    ("a\udfffb", 10),
    ("\x00", 8),
    ("\x1f", 8),
    ("\n\t\r\b\f", 12),
    ("\x7f", 3),
    ("\x80", 4),
    ("\u2028", 5),
    ('"\\', 6),
    ("\\u00e9", 9),
    ("/", 3),
    ({"é": "ü"}, 11),
    ({"a": [1, 2, {"ключ": "значение"}]}, 43),
    (["żółć", None, True, 1.5], 26),
    ("€" * 1000, 3002),
    ({"\ud83d": 0}, 12),
]
"""Values, and what Node's Buffer.byteLength(JSON.stringify(value)) says of them."""

_unicode = st.text(st.characters(exclude_categories=[]))


@pytest.mark.parametrize(("value", "size"), NODE)
def test_a_value_has_the_size_that_node_gives_it(value: t.Any, size: int) -> None:
    assert json_size(value) == size


@given(st.text())
def test_text_that_needs_no_escape_has_its_bytes_and_two_quotes(text: str) -> None:
    plain = "".join(char for char in text if char >= " " and char not in '"\\')
    assert json_size(plain) == len(plain.encode()) + 2


@given(_unicode)
def test_what_is_counted_is_the_value_itself(text: str) -> None:
    assert json.loads(strict_json.utf8({text: text})) == json.loads(json.dumps({text: text}))


@given(_unicode)
def test_data_is_never_larger_than_its_escapes(text: str) -> None:
    assert json_size(text) <= len(strict_json.compact(text))


@pytest.mark.parametrize(("value", "size"), NODE)
def test_data_is_taken_up_to_its_size_and_refused_one_byte_below(value: t.Any, size: int) -> None:
    check_size(value, {"sizeLimit": size}, "data")
    with pytest.raises(Refusal, match=f"is {size} bytes, over the limit of {size - 1}"):
        check_size(value, {"sizeLimit": size - 1}, "data", escaped=len(strict_json.compact(value)))


@pytest.mark.parametrize(("value", "size"), NODE)
def test_a_bounded_member_is_taken_up_to_its_size(value: t.Any, size: int) -> None:
    assert check_data_size(value, size) == value
    with pytest.raises(ValueError, match=f"is {size} bytes"):
        check_data_size(value, size - 1)
