"""Processors whose annotations a test chooses, and the types that the tests of typed jobs share."""

import typing as t
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime

import pytest
from pydantic import BaseModel
from typing_extensions import TypedDict  # pydantic takes typing's from Python 3.12 on

from nextmq_handler import AsyncJob, Job
from nextmq_handler.errors import DataError
from nextmq_handler.protocol.values import Signature
from tests.support.handler import Body, Style, as_def


class Welcome(BaseModel):
    to: str
    signed_up: datetime


class Receipt(BaseModel):
    sent_at: datetime


@dataclass
class Order:
    number: int
    placed: date


class Address(TypedDict):
    street: str
    floor: t.NotRequired[int]


def job_type(style: Style, data: t.Any) -> t.Any:
    """Return the job type of a sync or async processor whose data is of the type `data`."""
    kind: t.Any = Job if style is as_def else AsyncJob
    return kind[data]


def annotated(style: Style, body: Body, *, data: t.Any = t.Any, returns: t.Any = t.Any) -> Callable[..., t.Any]:
    """Make a sync or async processor that is annotated with these types."""
    function = style(body)
    function.__annotations__ = {"job": job_type(style, data), "return": returns}
    return function


def refusal(type_: t.Any, data: object) -> str:
    """Return the error message of data that does not fit."""
    with pytest.raises(DataError) as caught:
        Signature(type_, t.Any).load(data)
    return str(caught.value)
