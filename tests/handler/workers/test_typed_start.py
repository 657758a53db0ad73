"""Annotations that cannot work are an error when the handler is made, which names the processor and the fix."""

import asyncio
import functools
import re
import typing as t
from collections.abc import Awaitable, Callable, Coroutine

import pytest
from pydantic import BaseModel

from nextmq_handler import AsyncJob, ConfigurationError, Job, Worker, create_nextmq_handler
from nextmq_handler.idempotency import MemoryStore, idempotent
from nextmq_handler.workers.worker import find_processor
from tests.support.handler import as_async_def, as_def
from tests.support.typed import Receipt, Welcome, job_type

Function = Callable[..., t.Any]


class Opaque:
    """A class that pydantic knows nothing of."""


class Unfinished(BaseModel):
    later: "Missing"  # type: ignore[name-defined]  # noqa: F821 - what is tested


def process(style: Callable[..., Function], **annotations: t.Any) -> Function:
    """Make a processor called `charge` with these annotations."""
    function = style(lambda job: None)
    function.__annotations__ = annotations
    function.__qualname__ = "charge"
    return function


GET_JOB = r"a def processor gets Job, so write Job\[…\], with the type of the job's data in the brackets"
GET_ASYNC_JOB = r"an async def processor gets AsyncJob, so write AsyncJob\[…\], with the type of the job's data"
AWAITABLE = "returns an awaitable that nothing awaits: make it async def"
UNKNOWN = "its annotation cannot be validated: Unable to generate pydantic-core schema for .*Opaque"
UNFINISHED = "its annotation cannot be validated: .*Unfinished.* is not fully defined"
MISSING = "an annotation cannot be resolved: name 'Missing' is not defined. Import the name at module level"
T = t.TypeVar("T")

REFUSED: dict[str, tuple[Function, str]] = {
    "a name that does not exist": (process(as_def, job="Job[Missing]"), MISSING),
    "a return that does not exist": (process(as_async_def, **{"return": "Missing"}), MISSING),
    "an annotation that raises": (process(as_def, job="Job[1 / 0]"), "cannot be resolved: division by zero"),
    "async def with Job[…]": (process(as_async_def, job=Job[Welcome]), GET_ASYNC_JOB),
    "async def with Job": (process(as_async_def, job=Job), "annotates its job as Job: " + GET_ASYNC_JOB),
    "def with AsyncJob[…]": (process(as_def, job=AsyncJob[Welcome]), GET_JOB),
    "def with AsyncJob": (process(as_def, job=AsyncJob), "annotates its job as AsyncJob: " + GET_JOB),
    "def with a model": (process(as_def, job=Welcome), "annotates its job as Welcome: " + GET_JOB),
    "async def with a model": (
        process(as_async_def, job=Welcome),
        "annotates its job as Welcome: " + GET_ASYNC_JOB,
    ),
    "a union without the job": (process(as_def, job=Welcome | None), GET_JOB),
    "def that returns Awaitable[…]": (process(as_def, **{"return": Awaitable[int]}), AWAITABLE),
    "def that returns Awaitable": (process(as_def, **{"return": Awaitable}), AWAITABLE),
    "def that returns Coroutine[…]": (process(as_def, **{"return": Coroutine[t.Any, t.Any, int]}), AWAITABLE),
    "def that returns a Task": (process(as_def, **{"return": asyncio.Task[int]}), AWAITABLE),
    "data that pydantic does not know": (process(as_def, job=Job[Opaque]), UNKNOWN),
    "a result that pydantic does not know": (process(as_def, **{"return": list[Opaque]}), UNKNOWN),
    "data of which a part is missing": (process(as_def, job=Job[Unfinished]), UNFINISHED),
    "a result of which a part is missing": (process(as_def, **{"return": Unfinished}), UNFINISHED),
    "an idempotent one's": (idempotent(MemoryStore())(process(as_def, **{"return": Opaque})), UNKNOWN),
}


@pytest.mark.parametrize(("function", "reason"), REFUSED.values(), ids=REFUSED)
def test_annotations_that_cannot_work_are_refused_with_the_reason_when_the_handler_is_made(
    function: Function, reason: str
) -> None:
    worker = Worker("emails", function)
    with pytest.raises(ConfigurationError, match=rf"\AWorker\('emails'\): charge.*{reason}"):
        create_nextmq_handler([worker])


def test_the_processor_of_a_job_name_is_looked_at_too() -> None:
    worker = Worker("emails", lambda job: None)
    worker.processor("charge")(process(as_def, job=Welcome))
    with pytest.raises(ConfigurationError, match="charge annotates its job as Welcome"):
        create_nextmq_handler([worker])


def test_an_error_of_pydantics_is_one_line() -> None:
    with pytest.raises(ConfigurationError) as caught:
        create_nextmq_handler([Worker("emails", process(as_def, job=Job[Opaque]))])
    assert "\n" not in str(caught.value)


def test_annotations_that_cannot_work_are_no_error_before() -> None:
    assert Worker("emails", process(as_def, job=Welcome)).name == "emails"


ACCEPTED: dict[str, Function] = {
    "nothing": process(as_def),
    "Any": process(as_def, job=t.Any),
    "object": process(as_async_def, job=object),
    "a bare Job": process(as_def, job=Job),
    "a bare AsyncJob": process(as_async_def, job=AsyncJob),
    "Job[T]": process(as_def, job=job_type(as_def, T)),
    "a result only": process(as_def, **{"return": int}),
}


@pytest.mark.parametrize("function", ACCEPTED.values(), ids=ACCEPTED)
def test_an_annotation_that_says_nothing_of_the_data_leaves_it_plain(function: Function) -> None:
    assert types_of(function)[0] is t.Any


def types_of(function: Function) -> tuple[t.Any, t.Any]:
    """Return the types of the mounted processor's data and result."""
    worker = Worker("emails", function)
    create_nextmq_handler([worker])
    bound = find_processor(worker, "welcome")
    assert bound is not None
    return bound.signature.data_type, bound.signature.result_type


def plain(job: Job[Welcome]) -> Receipt: ...  # type: ignore[empty-body]
def in_text(job: "Job[Welcome]") -> "Receipt": ...  # type: ignore[empty-body]
def either(job: "Job[Welcome] | AsyncJob[Welcome]") -> Receipt: ...  # type: ignore[empty-body]
def optional(job: Job[Welcome] | None = None) -> Receipt: ...  # type: ignore[empty-body]
def with_a_second(job: Job[Welcome], tries: int = 3) -> Receipt: ...  # type: ignore[empty-body]
def after_another(service: Opaque, job: Job[Welcome]) -> Receipt: ...  # type: ignore[empty-body]
def after_two(a: int, b: Opaque, job: Job[Welcome]) -> Receipt: ...  # type: ignore[empty-body]
async def awaited(job: AsyncJob[Welcome]) -> Receipt: ...  # type: ignore[empty-body]


class Service:
    def method(self, job: Job[Welcome]) -> Receipt: ...  # type: ignore[empty-body]
    def annotated_self(self: "Service", job: Job[Welcome]) -> Receipt: ...  # type: ignore[empty-body]
    def after_another(self, other: Opaque, job: Job[Welcome]) -> Receipt: ...  # type: ignore[empty-body]
    async def awaited(self, job: AsyncJob[Welcome]) -> Receipt: ...  # type: ignore[empty-body]
    @functools.lru_cache  # noqa: B019 - a decorator that hides the function
    def cached(self, job: Job[Welcome]) -> Receipt: ...  # type: ignore[empty-body]
    @classmethod
    def of_class(cls, job: Job[Welcome]) -> Receipt: ...  # type: ignore[empty-body]
    @staticmethod
    def static(job: Job[Welcome]) -> Receipt: ...  # type: ignore[empty-body]


class CallableObject:
    def __call__(self, job: Job[Welcome]) -> Receipt: ...  # type: ignore[empty-body]


@functools.wraps(plain)
def wrapped(*args: t.Any) -> t.Any: ...


once = idempotent(MemoryStore())
ANNOTATED: dict[str, Function] = {
    "a def": plain,
    "an async def": awaited,
    "text": in_text,
    "either job": either,
    "an optional job": optional,
    "a second argument": with_a_second,
    "a partial": functools.partial(plain),
    "a partial that gives the first": functools.partial(after_another, Opaque()),
    "a partial of a partial": functools.partial(functools.partial(after_two, 1), Opaque()),
    "a partial that gives another by name": functools.partial(with_a_second, tries=1),
    "a method": Service().method,
    "a method with an annotated self": Service().annotated_self,
    "an async method": Service().awaited,
    "a class method": Service.of_class,
    "a static method": Service.static,
    "a partial of a method": functools.partial(Service().after_another, Opaque()),
    "a decorated method": functools.partial(Service.cached, Service()),
    "a callable object": CallableObject(),
    "a partial of a callable object": functools.partial(CallableObject()),
    "a decorated function": wrapped,
    "an idempotent def": once(plain),
    "an idempotent async def": once(awaited),
    "an idempotent method": once(Service().method),
    "an idempotent callable object": once(CallableObject()),
    "a partial of an idempotent def": functools.partial(once(plain)),
}


@pytest.mark.parametrize("function", ANNOTATED.values(), ids=ANNOTATED)
def test_a_processor_of_any_make_keeps_its_annotations(function: Function) -> None:
    assert types_of(function) == (Welcome, Receipt)


def second_only(job: t.Any, service: Opaque | None = None) -> None: ...


second_only.__annotations__.pop("job")


def test_the_annotation_of_another_argument_is_not_taken_for_the_jobs() -> None:
    assert types_of(second_only)[0] is t.Any


def test_the_error_of_a_partial_shows_what_it_is_of() -> None:
    with pytest.raises(ConfigurationError, match=re.escape("Worker('emails'): functools.partial(<function")):
        types_of(functools.partial(process(as_def, job=Welcome)))
