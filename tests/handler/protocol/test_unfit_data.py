"""A job's data in a signed delivery: text that is not exactly one JSON value never becomes part of the body."""

from __future__ import annotations

import json
import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextmq_handler.protocol.wire import JobRecord, UnfitData, encode_delivery, parse_delivery

UNFIT = {
    "members of the job": '1,"name":"admin","id":"999"',
    "members of the job after an object": '{},"name":"admin"',
    "the end of the job": '1},"timeout":1,"x":{"y":1',
    "the end of the delivery": '1}}{"deliveryId":"dlv_2"',
    "a second delivery on a line": '1}}\n{"job":{',
    "two values": "1 2",
    "two objects": "{}{}",
    "a comma": "1,",
    "a colon": '"a":1',
    "an open text": '"hello',
    "an open list": "[1",
    "an open object": '{"a":1',
    "a closing brace": "}",
    "nothing but spaces": "  ",
    "a word": "hello",
    "a word in single quotes": "'hello'",
    "NaN": "NaN",
    "an infinity in a list": "[-Infinity]",
    "a number over a double": "1e999",
    "an octal number": "010",
    "a line break in a text": '"a\nb"',
    "a comment": "1/*x*/",
    "a byte order mark": "\ufeff1",
    "a NUL": "1\0",
    "bytes that are not UTF-8": '"\udcff\udcfe"',
    "too deep to read": "[" * 100_000 + "]" * 100_000,
}
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def job_of(data: str) -> JobRecord:
    """Return the job as the receiver of a delivery with `data` reads it."""
    sent = JobRecord({"id": "1", "name": "user"})
    body = encode_delivery(sent, data, id="dlv_1", queue="emails", timeout=1000, now=0)
    return parse_delivery(body, "dlv_1").job


@pytest.mark.parametrize("text", UNFIT.values(), ids=UNFIT)
def test_text_that_is_not_one_json_value_is_refused(text: str) -> None:
    with pytest.raises(match="the job's data is not JSON"):
        job_of(text)


@given(text=st.text(st.sampled_from('{}[],:"\\ 19aen.-\n'), max_size=12))
def test_no_text_changes_another_member_of_the_job(text: str) -> None:
    try:
        job = job_of(text)
    except UnfitData:
        return
    assert (job.id, job.name, job.data) == ("1", "user", json.loads(text))


@given(value=VALUES, ending=st.sampled_from(["}", "}}", ",", ",,", "}}}", "]", '"']))
def test_no_ending_of_a_value_adds_members(value: t.Any, ending: str) -> None:
    text = json.dumps(value) + ending + '"id":"999","name":"admin"'
    with pytest.raises(UnfitData):
        job_of(text)
