"""Return annotations: what they serialise, and which results do not fit them."""

import enum
import re
import typing as t
from collections import deque
from collections.abc import Iterable, Iterator
from copy import copy
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from pydantic import BaseModel, Field, PlainSerializer, computed_field

from nextmq_handler import AsyncJob, RateLimitError, Worker
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


class Copy(BaseModel):
    sent_at: datetime


class LongReceipt(Receipt):
    more: int


class Names(enum.StrEnum):
    A = "a"


class Awaited:
    """No awaitable: a def processor that returns one is told so."""


class Lazy:
    """Copied into an iterator, so that each run of a test has its own."""

    def __init__(self, items: list[t.Any]) -> None:
        self.items = items

    def __copy__(self) -> Iterator[t.Any]:
        return iter(self.items)


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


SAME_JSON: dict[str, tuple[t.Any, object, object]] = {
    "a dict for a model": (Receipt, RAW_RECEIPT, RAW_RECEIPT),
    "a dict for a dataclass": (Order, RAW_ORDER, RAW_ORDER),
    "a dict for an optional model": (Receipt | None, RAW_RECEIPT, RAW_RECEIPT),
    "another model with the same fields": (Receipt, Copy(sent_at=NOON), RAW_RECEIPT),
    "dicts for models in a list": (list[Receipt], [RAW_RECEIPT, RECEIPT], [RAW_RECEIPT, RAW_RECEIPT]),
    "text for a datetime": (datetime, NOON_TEXT, NOON_TEXT),
    "a number for a Decimal": (Decimal, 1, 1),
    "text for a UUID": (UUID, str(ID), str(ID)),
    "text for an enum": (Colours, "red", "red"),
    "a list for a set": (set[int], [1, 2], [1, 2]),
    "a tuple for a list": (list[int], (1, 2), [1, 2]),
    "a list for a tuple": (tuple[int, int], [1, 2], [1, 2]),
    "text for bytes": (bytes, "text", "text"),
    "an iterator for a list": (list[int] | tuple[UUID], Lazy([ID]), [str(ID)]),
    "an iterator for an iterable": (Iterable[int], Lazy([1, 2]), [1, 2]),
    "an int for a float": (float, 3, 3),
    "True for an int": (int, True, True),
    "text of an enum for text": (str, Names.A, "a"),
    "a dict with more keys for a dict": (dict[str, int], {"a": 1, "b": 2}, {"a": 1, "b": 2}),
    "a bare list": (list, [1, "a"], [1, "a"]),
    "a subclass of a model": (Receipt, LongReceipt(sent_at=NOON, more=1), RAW_RECEIPT),
}


@sync_and_async
@pytest.mark.parametrize(("returns", "value", "expected"), SAME_JSON.values(), ids=SAME_JSON)
async def test_a_result_whose_json_is_that_of_its_annotation_is_taken(
    returns: t.Any, value: object, expected: object, style: Style
) -> None:
    outcome = await outcome_of(annotated(style, lambda job: copy(value), returns=returns))
    assert outcome == {"outcome": "completed", "returnValue": expected}


MISFITS: dict[str, tuple[t.Any, object, str]] = {
    "text for an int": (int, "x", "of type str, but the annotation is int"),
    "digits for an int": (int, "5", "of type str, but the annotation is int"),
    "a float for an int": (int, 5.0, "of type float, but the annotation is int"),
    "an int for text": (str, 3, "of type int, but the annotation is str"),
    "an int for a bool": (bool, 1, "of type int, but the annotation is bool"),
    "None for an int": (int, None, "of type NoneType, but the annotation is int"),
    "text for None": (None, "text", "of type str, but the annotation is None"),
    "anything for NoReturn": (t.NoReturn, 1, "of type int, but the annotation is NoReturn"),
    "a list for a dict": (dict[str, t.Any], [], "of type list, but the annotation is dict[str, Any]"),
    "a dict for a list": (list, {}, "of type dict, but the annotation is list"),
    "text in ints": (list[int], [1, "x"], "but the annotation is list[int]: 1: is of type str, not int"),
    "text deep in ints": (
        dict[str, list[int]],
        {"a": [1, None]},
        "annotation is dict[str, list[int]]: a.1: is of type NoneType, not int",
    ),
    "a key of another type": (dict[str, int], {1: 1}, "annotation is dict[str, int]: 1: is of type int, not str"),
    "none of a union": (
        int | list[str] | None,
        {"a": 1},
        "of type dict, but the annotation is int | list[str] | None",
    ),
    "text for a model": (Receipt, "none", "of type str, but the annotation is Receipt"),
    "None for a model": (Receipt, None, "of type NoneType, but the annotation is Receipt"),
    "a dict without the model's fields": (Receipt, {"more": 1}, "of type dict, but the annotation is Receipt"),
    "a dict with another type for a field": (Receipt, {"sent_at": "never"}, "of type dict, but the annotation is"),
    "another model": (Receipt, Anything(value=1), "of type Anything, but the annotation is Receipt"),
    "another model for an optional one": (
        Receipt | None,
        Anything(value=1),
        "of type Anything, but the annotation",
    ),
    "a dataclass for a model": (Receipt, ORDER, "of type Order, but the annotation is Receipt"),
    "a model for a dataclass": (Order, RECEIPT, "of type Receipt, but the annotation is Order"),
    "a model for a datetime": (datetime, RECEIPT, "of type Receipt, but the annotation is datetime"),
    "a TypedDict without a key": (Address, {}, "of type dict, but the annotation is Address: street"),
    "a TypedDict with another type": (Address, {"street": 5}, "annotation is Address: street"),
    "another text for a datetime": (datetime, "never", "of type str, but the annotation is datetime"),
    "a number for a UUID": (UUID, 3, "of type int, but the annotation is UUID"),
    "another text for an enum": (Colours, "blue", "of type str, but the annotation is Colours"),
    "a longer tuple": (tuple[int, int], (1, 2, 3), "of type tuple, but the annotation is tuple[int, int]"),
    "another literal": (t.Literal["a"], "b", "of type str, but the annotation is Literal['a']"),
    "a number under its bound": (
        t.Annotated[int, Field(gt=0)],
        -1,
        "of type int, but the annotation is Annotated",
    ),
    "an iterator of another type": (Iterable[int], Lazy(["x"]), "but the annotation is collections.abc.Iterable"),
    "an item of another type": (list[Receipt], [RECEIPT, 3], "annotation is list[tests.support.typed.Receipt]: 1"),
    "an object": (Receipt, object(), "of type object, but the annotation is Receipt"),
    "an awaitable": (int, Awaited(), "of type Awaited, but the annotation is int"),
}


@sync_and_async
@pytest.mark.parametrize(("returns", "value", "told"), MISFITS.values(), ids=MISFITS)
async def test_a_result_that_does_not_fit_its_annotation_fails_the_job_for_good(
    returns: t.Any, value: object, told: str, style: Style
) -> None:
    assert told in await refusal_of(style, copy(value), returns=returns)


async def test_an_annotation_as_text_is_checked_too() -> None:
    async def process(job: AsyncJob) -> "int":
        return t.cast("int", "x")

    outcome = await outcome_of(process)
    assert outcome["error"]["message"] == "the return value is of type str, but the annotation is int"


@sync_and_async
async def test_a_misfit_quotes_nothing_of_the_value(style: Style) -> None:
    assert "secret" not in await refusal_of(style, {"sent_at": "secret"}, returns=Receipt)


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
    assert re.fullmatch(
        r"the return value is not JSON: (it|\d|a|value\S*) (holds bytes; encode them, in base64 say|has a key .*)",
        message,
    )


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
    assert re.fullmatch(r"the return value is not JSON: (it|0|value|a\.value\.0) is NaN or an infinity", message)


@sync_and_async
@pytest.mark.parametrize("value", [object(), Plain()], ids=["object", "with attributes"])
@pytest.mark.parametrize("returns", [Receipt, Order, datetime, Receipt | None], ids=str)
async def test_a_result_that_nothing_makes_json_is_refused_by_its_type(
    returns: t.Any, value: object, style: Style
) -> None:
    message = await refusal_of(style, value, returns=returns)
    assert f"the return value is of type {type(value).__name__}, but the annotation is " in message


@sync_and_async
@pytest.mark.parametrize("value", [RECEIPT, ORDER, NOON, Decimal(1), ID, Colours.RED, {1}], ids=repr)
async def test_a_result_without_an_annotation_is_plain_json_only(value: object, style: Style) -> None:
    message = await refusal_of(style, value)
    assert message == f"the return value is not JSON: it is of type {type(value).__name__}"


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
async def test_a_serializer_that_exits_fails_the_job_for_good(style: Style) -> None:
    message = await refusal_of(style, Exiting(), returns=Exiting)
    assert message == "the return value is not JSON: SystemExit: 3"


@sync_and_async
async def test_a_refused_result_is_not_what_the_workers_errors_say(style: Style) -> None:
    function = annotated(style, lambda job: object(), returns=Receipt)
    worker = Worker("emails", function, errors={Exception: lambda exc: RateLimitError(1500)})
    outcome = await deliver(make_handler(worker))
    assert outcome["error"]["name"] == "ReturnValueError"
