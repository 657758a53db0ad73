"""Return annotations: what they serialise, and that JSON decides in the end, not the annotation."""

import enum
import re
import typing as t
from collections import deque
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from pydantic import BaseModel, PlainSerializer, computed_field

from nextmq_handler import RateLimitError, Worker
from tests.support.handler import Style, deliver, make_handler, outcome_of, sync_and_async
from tests.support.typed import Address, Order, Receipt, annotated

pytestmark = pytest.mark.anyio

NOON, NOON_TEXT = datetime(2026, 9, 21, 12, tzinfo=UTC), "2026-09-21T12:00:00Z"
RECEIPT, RAW_RECEIPT = Receipt(sent_at=NOON), {"sent_at": NOON_TEXT}
ORDER, RAW_ORDER = Order(7, date(2026, 9, 21)), {"number": 7, "placed": "2026-09-21"}
ID = UUID("12345678-1234-5678-1234-567812345678")
NAN = float("nan")


class Colours(enum.Enum):
    RED = "red"


class Raw(enum.Enum):
    A = b"a"


class Anything(BaseModel):
    value: t.Any


class Plain:
    def __init__(self) -> None:
        self.sent_at = NOON


class Pair(t.NamedTuple):
    at: datetime
    value: int


SERIALISED: dict[str, tuple[t.Any, object, object]] = {
    "a model": (Receipt, RECEIPT, RAW_RECEIPT),
    "a dataclass": (Order, ORDER, RAW_ORDER),
    "a TypedDict": (Address, {"street": "Main"}, {"street": "Main"}),
    "a named tuple": (Pair, Pair(NOON, 1), [NOON_TEXT, 1]),
    "a datetime": (datetime, NOON, NOON_TEXT),
    "a timedelta": (timedelta, timedelta(seconds=90), "PT1M30S"),
    "a Decimal": (Decimal, Decimal("1.10"), "1.10"),
    "a UUID": (UUID, ID, str(ID)),
    "an enum": (Colours, Colours.RED, "red"),
    "a set": (set[int], {7}, [7]),
    "an optional, given": (Receipt | None, RECEIPT, RAW_RECEIPT),
    "an optional, None": (Receipt | None, None, None),
    "a union": (Receipt | Order, ORDER, RAW_ORDER),
    "models in a list": (list[Receipt], [RECEIPT], [RAW_RECEIPT]),
    "UUIDs in a dict": (dict[str, UUID], {"a": ID}, {"a": str(ID)}),
    "UUIDs as keys": (dict[UUID, int], {ID: 1}, {str(ID): 1}),
    "Decimals in lists in a dict": (dict[str, list[Decimal]], {"a": [Decimal("1.1")]}, {"a": ["1.1"]}),
    "a model in a model": (Anything, Anything(value=RECEIPT), {"value": RAW_RECEIPT}),
    "enums in a model": (Anything, Anything(value=[Colours.RED]), {"value": ["red"]}),
    "None": (None, None, None),
    "dict[str, Any]": (dict[str, t.Any], {"a": [1]}, {"a": [1]}),
    "a union of JSON types": (dict[str, int] | list[str] | None, ["a"], ["a"]),
}


@sync_and_async
@pytest.mark.parametrize(("returns", "value", "expected"), SERIALISED.values(), ids=SERIALISED)
async def test_a_result_is_serialised_as_its_annotation_says(
    returns: t.Any, value: object, expected: object, style: Style
) -> None:
    outcome = await outcome_of(annotated(style, lambda job: value, returns=returns))
    assert outcome == {"outcome": "completed", "returnValue": expected}


OTHER_VALUES: dict[str, tuple[t.Any, object, object]] = {
    "text for a model": (Receipt, "none", "none"),
    "None for a model": (Receipt, None, None),
    "a dict for a model": (Receipt, {"sent_at": "never", "more": 1}, {"sent_at": "never", "more": 1}),
    "another model": (Receipt, Anything(value=1), {"value": 1}),
    "another model for an optional one": (Receipt | None, Anything(value=1), {"value": 1}),
    "a dataclass for a model": (Receipt, ORDER, RAW_ORDER),
    "a model for a dataclass": (Order, RECEIPT, RAW_RECEIPT),
    "a model for a datetime": (datetime, RECEIPT, RAW_RECEIPT),
    "text for a datetime": (datetime, "never", "never"),
    "a number for a Decimal": (Decimal, 1, 1),
    "a number for a UUID": (UUID, 3, 3),
    "text for an enum": (Colours, "blue", "blue"),
    "a list for a set": (set[int], [1, 1], [1, 1]),
    "a longer tuple": (tuple[int, int], (1, 2, 3), [1, 2, 3]),
    "another literal": (t.Literal["a"], "b", "b"),
    "text for bytes": (bytes, "text", "text"),
    "a number for text": (str, 3, 3),
    "text for nothing": (None, "text", "text"),
}


@sync_and_async
@pytest.mark.parametrize(("returns", "value", "expected"), OTHER_VALUES.values(), ids=OTHER_VALUES)
async def test_a_result_of_another_type_is_taken_where_json_can_carry_it(
    returns: t.Any, value: object, expected: object, style: Style
) -> None:
    outcome = await outcome_of(annotated(style, lambda job: value, returns=returns))
    assert outcome == {"outcome": "completed", "returnValue": expected}


async def refusal_of(style: Style, value: object, **annotation: t.Any) -> str:
    """Return the error message of a result that fails the job for good."""
    outcome = await outcome_of(annotated(style, lambda job: value, **annotation))
    assert (outcome.get("unrecoverable"), outcome["error"]["name"]) == (True, "ReturnValueError")
    return str(outcome["error"]["message"])


BYTES: dict[str, tuple[t.Any, object]] = {
    "itself": (bytes, b"x"),
    "for text": (t.Annotated[str, "text"], b"x"),
    "in a list": (list[bytes], [b"x"]),
    "in a tuple": (tuple[bytes], (b"x",)),
    "in a set": (set[bytes], {b"x"}),
    "in a frozenset": (frozenset[bytes], frozenset({b"x"})),
    "in a deque": (deque[bytes], deque([b"x"])),
    "in a dict": (dict[str, bytes], {"a": b"x"}),
    "as a key": (dict[bytes, int], {b"x": 1}),
    "in a model": (Anything, Anything(value=b"x")),
    "deep in a model": (Anything, Anything(value={"a": [{b"x"}]})),
    "in a model in a model": (Anything, Anything(value=Anything(value=memoryview(b"x")))),
    "of an enum": (Raw, Raw.A),
}


@sync_and_async
@pytest.mark.parametrize(("returns", "value"), BYTES.values(), ids=BYTES)
async def test_bytes_are_refused_wherever_they_are(returns: t.Any, value: object, style: Style) -> None:
    message = await refusal_of(style, value, returns=returns)
    assert message == "the return value is not JSON: it holds bytes; encode them, in base64 say"


NANS: dict[str, tuple[t.Any, object]] = {
    "itself": (float, NAN),
    "infinity": (float, float("-inf")),
    "in a list": (list[float], [NAN]),
    "in a tuple": (tuple[float], (NAN,)),
    "in a model": (Anything, Anything(value=NAN)),
    "in a model in a dict": (dict[str, Anything], {"a": Anything(value=[NAN])}),
}


@sync_and_async
@pytest.mark.parametrize(("returns", "value"), NANS.values(), ids=NANS)
async def test_nan_is_refused_wherever_it_is(returns: t.Any, value: object, style: Style) -> None:
    message = await refusal_of(style, value, returns=returns)
    assert re.fullmatch(
        "the return value is not JSON: (it holds NaN or an infinity|Out of range float.*)", message
    )


@sync_and_async
@pytest.mark.parametrize("value", [object(), Plain()], ids=["object", "with attributes"])
@pytest.mark.parametrize("returns", [Receipt, Order, datetime, Receipt | None], ids=str)
async def test_a_result_that_nothing_makes_json_is_refused_by_its_type(
    returns: t.Any, value: object, style: Style
) -> None:
    message = await refusal_of(style, value, returns=returns)
    assert message == f"the return value is not JSON: Unable to serialize unknown type: {type(value)}"


@sync_and_async
@pytest.mark.parametrize("value", [RECEIPT, ORDER, NOON, Decimal(1), ID, Colours.RED, {1}], ids=repr)
async def test_a_result_without_an_annotation_is_plain_json_only(value: object, style: Style) -> None:
    message = await refusal_of(style, value)
    assert (
        message == f"the return value is not JSON: Object of type {type(value).__name__} is not JSON serializable"
    )


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


def unprintable(value: object) -> int:
    raise Unprintable


@sync_and_async
async def test_a_serializer_whose_exception_cannot_be_printed_is_told_by_its_name(style: Style) -> None:
    message = await refusal_of(style, 1, returns=t.Annotated[int, PlainSerializer(unprintable)])
    assert "Unprintable" in message


class Exiting(BaseModel):
    @computed_field
    def total(self) -> int:
        raise SystemExit(3)


@sync_and_async
async def test_a_serializer_that_exits_fails_the_attempt(style: Style) -> None:
    function = annotated(style, lambda job: Exiting(), returns=Exiting)
    outcome = await outcome_of(function, expose_stack=False)
    assert outcome == {"outcome": "failed", "error": {"name": "SystemExit", "message": "3", "stack": ""}}


@sync_and_async
async def test_a_refused_result_is_not_what_the_workers_errors_say(style: Style) -> None:
    function = annotated(style, lambda job: object(), returns=Receipt)
    worker = Worker("emails", function, errors={Exception: lambda exc: RateLimitError(1500)})
    outcome = await deliver(make_handler(worker))
    assert outcome["error"]["name"] == "ReturnValueError"
