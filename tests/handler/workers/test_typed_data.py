"""`Job[T]`: data that fits arrives as T; what does not fit fails the job for good, path by path."""

import typing as t
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from pydantic import BaseModel, ConfigDict, Field

from tests.support.handler import AnyJob, Style, outcome_of, sync_and_async
from tests.support.typed import Address, Order, Welcome, annotated, refusal

pytestmark = pytest.mark.anyio

RAW_WELCOME = {"to": "a@b.c", "signed_up": "2026-09-21T12:00:00Z"}
WELCOME = Welcome(to="a@b.c", signed_up=datetime(2026, 9, 21, 12, tzinfo=UTC))


class Strict(BaseModel):
    model_config = ConfigDict(strict=True)

    at: datetime
    number: int


class Card(BaseModel):
    kind: t.Literal["card"]
    number: str


class Invoice(BaseModel):
    kind: t.Literal["invoice"]
    days: int


Payment = t.Annotated[Card | Invoice, Field(discriminator="kind")]
T = t.TypeVar("T")

VALID: dict[str, tuple[t.Any, object, object]] = {
    "a model": (Welcome, RAW_WELCOME, WELCOME),
    "a list of models": (list[Welcome], [RAW_WELCOME], [WELCOME]),
    "a dataclass": (Order, {"number": 7, "placed": "2026-09-21"}, Order(7, date(2026, 9, 21))),
    "a TypedDict": (Address, {"street": "Main"}, {"street": "Main"}),
    "Annotated": (t.Annotated[int, Field(gt=0)], 7, 7),
    "a union, its first": (Welcome | Order, RAW_WELCOME, WELCOME),
    "a union, its second": (
        Welcome | Order,
        {"number": 7, "placed": "2026-09-21"},
        Order(7, date(2026, 9, 21)),
    ),
    "a tagged union": (Payment, {"kind": "invoice", "days": 30}, Invoice(kind="invoice", days=30)),
    "an optional, given": (Welcome | None, RAW_WELCOME, WELCOME),
    "an optional, null": (Welcome | None, None, None),
    "a datetime": (datetime, "2026-09-21T12:00:00Z", datetime(2026, 9, 21, 12, tzinfo=UTC)),
    "a Decimal": (Decimal, "1.10", Decimal("1.10")),
    "None": (None, None, None),
    "a strict model": (
        Strict,
        {"at": "2026-09-21T12:00:00Z", "number": 7},
        Strict(at=datetime(2026, 9, 21, 12, tzinfo=UTC), number=7),
    ),
    "dict": (dict, {"a": [1]}, {"a": [1]}),
    "dict[str, Any]": (dict[str, t.Any], {"a": [1]}, {"a": [1]}),
    "dict[str, int]": (dict[str, int], {"a": 1}, {"a": 1}),
    "list": (list, [1, "a"], [1, "a"]),
    "list[Any]": (list[t.Any], [1, "a"], [1, "a"]),
    "str": (str, "ä", "ä"),
    "int": (int, 7, 7),
    "bool": (bool, True, True),
    "float": (float, 1.5, 1.5),
    "float, from a whole number": (float, 3, 3.0),
    "Any": (t.Any, [None], [None]),
    "object": (object, [None], [None]),
    "a type variable": (T, [None], [None]),
}


@sync_and_async
@pytest.mark.parametrize(("type_", "data", "expected"), VALID.values(), ids=VALID)
async def test_data_that_fits_arrives_as_its_type(
    type_: t.Any, data: object, expected: object, style: Style
) -> None:
    seen: list[object] = []
    await outcome_of(annotated(style, lambda job: seen.append(job.data), data=type_), job={"data": data})
    assert [(type(value), value) for value in seen] == [(type(expected), expected)]


class Signup(BaseModel):
    user: Welcome
    tags: list[int]


UNFIT: dict[str, tuple[t.Any, object, list[str]]] = {
    "a member that is missing": (Welcome, {"to": "x"}, ["data.signed_up"]),
    "two members": (Welcome, {"to": 1, "signed_up": "x"}, ["data.to", "data.signed_up"]),
    "a nested one": (Signup, {"user": {"to": 1, "signed_up": 0}, "tags": ["x"]}, ["data.user.to", "data.tags.0"]),
    "all of it": (Welcome, None, ["data"]),
    "a dataclass's": (Order, {"number": 7}, ["data.placed"]),
    "a TypedDict's": (Address, {"floor": 1}, ["data.street"]),
    "Annotated": (t.Annotated[int, Field(gt=0)], 0, ["data"]),
    "each of a union": (int | Order, [], ["data.int", "data.Order"]),
    "a tag": (Payment, {"kind": "cash"}, ["data"]),
    "a tagged union's member": (Payment, {"kind": "invoice", "days": "x"}, ["data.invoice.days"]),
    "a strict model's": (Strict, {"at": "2026-09-21T12:00:00Z", "number": "7"}, ["data.number"]),
    "text that is no text": (t.Annotated[str, Field(max_length=9)], "\ud800", ["data"]),
    "dict": (dict, [], ["data"]),
    "dict[str, Any]": (dict[str, t.Any], "x", ["data"]),
    "list": (list, {}, ["data"]),
    "str": (str, 1, ["data"]),
    "int": (int, "1", ["data"]),
    "int, a fraction": (int, 1.0, ["data"]),
    "int, a bool": (int, True, ["data"]),
    "float, a bool": (float, True, ["data"]),
    "float, beyond a double": (float, 10**400, ["data"]),
    "bool": (bool, 1, ["data"]),
}


@sync_and_async
@pytest.mark.parametrize(("type_", "data", "paths"), UNFIT.values(), ids=UNFIT)
async def test_data_that_does_not_fit_fails_the_job_for_good(
    type_: t.Any, data: object, paths: list[str], style: Style
) -> None:
    outcome = await outcome_of(annotated(style, lambda job: None, data=type_), job={"data": data})
    assert (outcome.get("unrecoverable"), outcome["error"]["name"]) == (True, "DataValidationError")


@pytest.mark.parametrize(("type_", "data", "paths"), UNFIT.values(), ids=UNFIT)
def test_the_message_lists_the_path_of_each_error(type_: t.Any, data: object, paths: list[str]) -> None:
    assert [part.partition(": ")[0] for part in refusal(type_, data).split("; ")] == paths


@sync_and_async
async def test_a_processor_does_not_run_with_data_that_does_not_fit(style: Style) -> None:
    seen: list[object] = []
    await outcome_of(annotated(style, lambda job: seen.append(job), data=Welcome), job={"data": None})
    assert seen == []


@sync_and_async
async def test_data_that_does_not_fit_has_no_stack(style: Style) -> None:
    outcome = await outcome_of(annotated(style, lambda job: None, data=Welcome), job={"data": None})
    assert outcome["error"]["stack"] == ""


@pytest.mark.parametrize(
    ("type_", "data", "message"),
    [
        (int, "1", "data: is not of type int"),
        (dict[str, t.Any], [], "data: is not of type dict"),
        (Welcome, {"to": "x"}, "data.signed_up: Field required"),
        (Payment, {"kind": "cash"}, "data: has a tag that none of the union's types has"),
    ],
)
def test_the_message_says_what_is_wrong(type_: t.Any, data: object, message: str) -> None:
    assert refusal(type_, data) == message


@sync_and_async
async def test_data_without_an_annotation_is_the_plain_json(style: Style) -> None:
    seen: list[object] = []

    def body(job: AnyJob) -> None:
        seen.append(job.data)

    await outcome_of(style(body), job={"data": RAW_WELCOME})
    assert seen == [RAW_WELCOME]
