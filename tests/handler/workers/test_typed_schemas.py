"""The JSON Schemas of typed jobs: what is in them, what has none, and that they change no fingerprint."""

import math
import typing as t
from collections.abc import Callable

import pytest
from pydantic import BaseModel, BeforeValidator, ConfigDict

from nextmq_handler import Worker
from nextmq_handler.registration import fingerprint, registration_of
from nextmq_handler.settings import load_settings
from nextmq_handler.workers.worker import schemas_of
from tests.support.handler import APP_URL, URL, Body, as_async_def, as_def, sync_and_async
from tests.support.typed import Order, Welcome, annotated

SETTINGS = load_settings(url=URL, app_url=APP_URL, environ={})


def nothing(job: object) -> None: ...


def of(data: t.Any, style: Callable[[Body], Callable[..., t.Any]] = as_def) -> Callable[..., t.Any]:
    return annotated(style, nothing, data=data)


@sync_and_async
def test_a_workers_schema_is_that_of_its_processors_data(style: Callable[[Body], Callable[..., t.Any]]) -> None:
    assert schemas_of(Worker("emails", of(Welcome, style))) == {"*": Welcome.model_json_schema()}


def test_each_job_name_has_the_schema_of_its_own_processor() -> None:
    worker = Worker("emails", of(dict[str, t.Any]))
    worker.processor("welcome")(of(Welcome))
    worker.processor("count")(of(int, as_async_def))
    assert schemas_of(worker) == {
        "welcome": Welcome.model_json_schema(),
        "count": {"type": "integer"},
        "*": {"type": "object", "additionalProperties": True},
    }


def test_a_job_name_whose_data_is_not_typed_has_no_schema() -> None:
    worker = Worker("emails")
    worker.processor("welcome")(of(Welcome))
    worker.processor("goodbye")(lambda job: None)
    assert schemas_of(worker) == {"welcome": Welcome.model_json_schema()}


@pytest.mark.parametrize("data", [t.Any, object], ids=str)
def test_a_worker_whose_data_is_not_typed_has_no_schemas(data: t.Any) -> None:
    assert schemas_of(Worker("emails", of(data))) is None


class Opaque:
    """A class that pydantic knows nothing of."""


class Made(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)

    made: t.Annotated[Opaque, BeforeValidator(lambda value: Opaque())]


class Defaulted(BaseModel):
    ratio: float = math.nan


@pytest.mark.parametrize("data", [Made, Defaulted], ids=lambda data: data.__name__)
def test_data_whose_schema_json_cannot_carry_has_none(data: t.Any) -> None:
    assert schemas_of(Worker("emails", of(data))) is None


def test_a_registration_carries_the_schemas() -> None:
    worker = Worker("emails", of(Order))
    assert registration_of(worker, SETTINGS)["schemas"] == schemas_of(worker)


@pytest.mark.parametrize("data", [Welcome, int, dict[str, t.Any]], ids=str)
def test_the_fingerprint_is_the_same_whatever_the_schemas(data: t.Any) -> None:
    untyped = Worker("emails", nothing)
    assert fingerprint(Worker("emails", of(data)), SETTINGS) == fingerprint(untyped, SETTINGS)
