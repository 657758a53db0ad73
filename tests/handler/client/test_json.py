"""What is sent as JSON, what is refused, and answers that are not what was asked for."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from uuid import UUID

import pydantic
import pytest
import respx
from hypothesis import given
from hypothesis import strategies as st

from nextmq_handler import ConfigurationError, NextMQHTTPError
from nextmq_handler.client._http.content import encode
from nextmq_handler.protocol import strict_json
from tests.support.client import Kind, body_of, both_kinds, queue_of, value_of
from tests.support.handler import JOB, JOBS, json_values

pytestmark = pytest.mark.anyio


class Welcome(pydantic.BaseModel):
    to: str


@dataclass
class Sent:
    at: datetime


class Colour(Enum):
    RED = "red"


@both_kinds
@pytest.mark.parametrize(
    ("data", "sent"),
    [
        (Welcome(to="ä"), {"to": "ä"}),
        (Sent(datetime(2030, 1, 1, tzinfo=UTC)), {"at": "2030-01-01T00:00:00Z"}),
        ({"users": [Welcome(to="a"), {"deep": Welcome(to="b")}]}, {"users": [{"to": "a"}, {"deep": {"to": "b"}}]}),
        ([date(2030, 1, 1), UUID(int=1)], ["2030-01-01", "00000000-0000-0000-0000-000000000001"]),
        ({"price": Decimal("1.10"), "colour": Colour.RED}, {"price": "1.10", "colour": "red"}),
        ((1, 2), [1, 2]),
        ("\ud800", "\ud800"),
    ],
    ids=["model", "dataclass", "models within", "date and UUID", "Decimal and Enum", "tuple", "lone surrogate"],
)
async def test_data_is_sent_as_json(kind: Kind, data: t.Any, sent: t.Any, server: respx.MockRouter) -> None:
    route = server.post(JOBS).respond(201, json=JOB)
    await value_of(queue_of(kind).add("welcome", data))
    assert body_of(route)["data"] == sent


class Rude(pydantic.BaseModel):
    @pydantic.model_serializer
    def refuse(self) -> str:
        raise RuntimeError("no")


def nested(depth: int) -> t.Any:
    value: t.Any = []
    for _ in range(depth):
        value = [value]
    return value


def circle(branches: int = 1) -> t.Any:
    value: list[t.Any] = []
    value += [value] * branches
    return value


UNSENDABLE: dict[str, tuple[t.Any, str]] = {
    "NaN": (float("nan"), r"data cannot be sent as JSON \(it is NaN"),
    "an infinity within": (
        {"prices": [1, float("inf")]},
        r"data\.prices\.1 cannot be sent as JSON \(it is NaN or an inf",
    ),
    "NaN in a model": (Sent(t.cast("t.Any", float("nan"))), r"data\.at cannot be sent as JSON \(it is NaN"),
    "bytes": ({"raw": b"x"}, r"data\.raw cannot be sent as JSON \(it holds bytes"),
    "an object": ({"a": object()}, r"data\.a cannot be sent as JSON"),
    "a function": ([len], r"data\.0 cannot be sent as JSON"),
    "a serializer that raises": (Rude(), r"data cannot be sent as JSON"),
    "two keys of one name": ({"a": {1: "a", "1": "b"}}, r"data\.a cannot be sent as JSON \(it has two keys"),
    "a circle": (circle(), "the content cannot be sent as JSON"),
    "two circles": (circle(branches=2), "the content cannot be sent as JSON"),
    "101 levels": (nested(101), "the content cannot be sent as JSON"),
    "100000 levels": (nested(100_000), "the content cannot be sent as JSON"),
    "too many digits": (10**5000, r"data cannot be sent as JSON \(ValueError"),
}


@both_kinds
@pytest.mark.parametrize(("data", "message"), UNSENDABLE.values(), ids=UNSENDABLE)
async def test_data_that_json_cannot_carry_is_refused_by_its_place(kind: Kind, data: t.Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"\A{message}"):
        await value_of(queue_of(kind).add("welcome", data))


@given(value=json_values)
def test_plain_json_is_sent_as_it_is(value: t.Any) -> None:
    assert strict_json.loads(encode({"data": value})) == {"data": value}


@given(
    value=st.recursive(
        st.floats() | st.binary() | st.text(st.characters()) | st.dates() | st.none() | st.complex_numbers(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(st.text() | st.binary() | st.none(), inner)
            | st.frozensets(st.integers())
        ),
        max_leaves=5,
    )
)
def test_any_value_is_sent_as_strict_json_or_refused(value: t.Any) -> None:
    try:
        strict_json.loads(encode(value))
    except ConfigurationError:
        return


ANSWERS: list[t.Any] = [
    None,
    [],
    "x",
    5,
    {},
    {"jobs": None},
    {"jobs": 5},
    {"jobs": [None]},
    {"jobs": [{"id": "1"}]},
]


@both_kinds
@pytest.mark.parametrize("answer", ANSWERS, ids=repr)
@pytest.mark.parametrize(
    ("method", "args"),
    [
        ("add", ["a"]),
        ("get_job", ["1"]),
        ("get_jobs", []),
        ("add_bulk", [[{"name": "a"}]]),
        ("get_metrics", ["completed"]),
        ("info", []),
        ("get_job_schedulers", []),
        ("upsert_job_scheduler", ["a", {"every": 1}]),
        ("get_counts_per_priority", [[1]]),
        ("get_global_rate_limit", []),
        ("is_paused", []),
    ],
)
async def test_an_answer_of_something_else_is_an_http_error(
    kind: Kind, method: str, args: list[t.Any], answer: t.Any, server: respx.MockRouter
) -> None:
    server.route().respond(200, json=answer)
    with pytest.raises(NextMQHTTPError) as caught:
        await value_of(getattr(queue_of(kind), method)(*args))
    assert caught.value.code == "invalid_answer"


@both_kinds
async def test_an_answer_nested_without_end_is_an_http_error(kind: Kind, server: respx.MockRouter) -> None:
    server.post(JOBS).respond(201, text="[" * 100_000)
    with pytest.raises(NextMQHTTPError):
        await value_of(queue_of(kind).add("welcome"))
