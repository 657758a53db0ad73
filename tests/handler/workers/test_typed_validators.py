"""Validators: what they raise fails the job and tells no value, whatever it is."""

import enum
import typing as t
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from ipaddress import IPv4Address
from uuid import UUID

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import AfterValidator, BaseModel, Field
from pydantic_core import PydanticCustomError

from nextmq_handler import RateLimitError
from tests.support.handler import Style, outcome_of, sync_and_async
from tests.support.typed import Order, annotated, refusal

pytestmark = pytest.mark.anyio


class Cash(BaseModel):
    kind: t.Literal["cash"]


class Invoice(BaseModel):
    kind: t.Literal["invoice"]


Payment = t.Annotated[Cash | Invoice, Field(discriminator="kind")]


def raising(kind: t.Callable[[object], BaseException]) -> t.Any:
    """Make a type whose validator raises an exception made from the value."""

    def validate(value: object) -> t.NoReturn:
        raise kind(value)

    return t.Annotated[t.Any, AfterValidator(validate)]


def custom(value: object) -> PydanticCustomError:
    return PydanticCustomError("mine", "is {value}", {"value": value})


class Colours(enum.Enum):
    RED = "red"


# Kinds of errors whose text could quote the value.
FIELDS: dict[str, t.Any] = {
    "whole": int,
    "double": float,
    "flag": bool,
    "text": t.Annotated[str, Field(min_length=1000)],
    "pattern": t.Annotated[str, Field(pattern="^x+$")],
    "at": datetime,
    "day": date,
    "hour": time,
    "lasting": timedelta,
    "amount": t.Annotated[Decimal, Field(max_digits=2)],
    "id": UUID,
    "literal": t.Literal["a"],
    "colour": Colours,
    "url": pydantic.HttpUrl,
    "address": IPv4Address,
    "encoded": pydantic.Base64Bytes,
    "json_text": pydantic.Json[int],
    "payment": Payment,
    "union": int | list[int],
    "pair": tuple[int, int],
    "numbers": list[int],
    "unique": set[int],
    "by_name": dict[str, int],
    "nested": Order,
    "multiple": t.Annotated[int, Field(multiple_of=9973)],
    "value_error": raising(ValueError),
    "assertion": raising(AssertionError),
    "custom": raising(custom),
}
Everything = t.cast("t.Any", pydantic.create_model)(
    "Everything", **{name: (type_, ...) for name, type_ in FIELDS.items()}
)

CANARY, NUMBER = "z7Qk canary", 48_151_623_427
canaries = st.sampled_from([CANARY, CANARY + "ä", NUMBER, NUMBER + 0.5, [CANARY], [NUMBER, CANARY], {"x": CANARY}])
shapes = canaries | st.fixed_dictionaries({"kind": canaries}) | st.fixed_dictionaries({"k": canaries})
everything = st.fixed_dictionaries(dict.fromkeys(FIELDS, shapes))


@given(data=everything)
def test_a_message_never_tells_a_value(data: dict[str, object]) -> None:
    message = refusal(Everything, data)
    assert "canary" not in message
    assert str(NUMBER) not in message


ODD: dict[str, t.Callable[[object], BaseException]] = {
    "KeyError": KeyError,
    "OSError": OSError,
    "RecursionError": RecursionError,
    "StopIteration": StopIteration,
    "TypeError": TypeError,
}


@sync_and_async
@pytest.mark.parametrize("name", ODD)
async def test_a_validator_that_raises_something_odd_is_told_by_its_name(name: str, style: Style) -> None:
    outcome = await outcome_of(annotated(style, lambda job: None, data=raising(ODD[name])), job={"data": CANARY})
    assert outcome["error"] == {
        "name": "DataValidationError",
        "message": f"data: its validator raised {name}",
        "stack": "",
    }


class Unprintable(ValueError):
    def __str__(self) -> str:
        raise RuntimeError("no text")


@sync_and_async
async def test_a_validator_whose_exception_cannot_be_printed_fails_the_job_for_good(style: Style) -> None:
    function = annotated(style, lambda job: None, data=raising(Unprintable))
    outcome = await outcome_of(function, job={"data": CANARY})
    assert (outcome.get("unrecoverable"), outcome["error"]["name"]) == (True, "DataValidationError")


@sync_and_async
async def test_a_validator_that_exits_fails_the_attempt(style: Style) -> None:
    function = annotated(style, lambda job: None, data=raising(lambda value: SystemExit(3)))
    outcome = await outcome_of(function, job={"data": 1}, expose_stack=False)
    assert outcome == {"outcome": "failed", "error": {"name": "SystemExit", "message": "3", "stack": ""}}


@sync_and_async
async def test_a_validator_may_signal(style: Style) -> None:
    function = annotated(style, lambda job: None, data=raising(lambda value: RateLimitError(1500)))
    outcome = await outcome_of(function, job={"data": 1})
    assert outcome == {"outcome": "rateLimited", "delay": 1500}
