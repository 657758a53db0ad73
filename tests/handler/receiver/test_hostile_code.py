"""Code of the app that runs beside a processor: whatever it raises, the process lives, and there is an outcome."""

from __future__ import annotations

import asyncio
import sys
import typing as t
from collections.abc import Callable, Iterator

import pydantic
import pytest

from nextmq_handler import AsyncJob, ControlFlow, Job, UnrecoverableJobError, Worker
from nextmq_handler.job import DelayedError
from nextmq_handler.protocol.outcomes import Completed, encode_outcome
from tests.support.handler import (
    AnyJob,
    Style,
    body_of,
    call,
    deliver,
    delivery,
    encode,
    make_handler,
    outcome_of,
    scope_of,
    signed,
    sync_and_async,
)

pytestmark = pytest.mark.anyio

ENDS: dict[str, Callable[[], BaseException]] = {
    "SystemExit": lambda: SystemExit(3),
    "KeyboardInterrupt": lambda: KeyboardInterrupt("mine"),
    "GeneratorExit": GeneratorExit,
    "CancelledError": asyncio.CancelledError,
    "a BaseException": lambda: BaseException("end"),
    "a signal": lambda: DelayedError(1_900_000_000_000),
    "an Exception": lambda: ValueError("end"),
}


def end(kind: str) -> t.NoReturn:
    raise ENDS[kind]()


class Meta(type):
    kind = "SystemExit"

    @property
    def __name__(cls) -> str:  # type: ignore[override] # pyright: ignore[reportIncompatibleVariableOverride]
        end(Meta.kind)

    def __instancecheck__(cls, instance: object) -> bool:
        end(Meta.kind)


def kind_of_exception(base: type[BaseException], name: str, **members: t.Any) -> type[BaseException]:
    return type(name, (base,), members)


def printing_itself(kind: str) -> BaseException:
    return kind_of_exception(Exception, "Silent", __str__=lambda self: end(kind))("x")


def with_a_broken_argument(kind: str) -> BaseException:
    class Argument:
        def __repr__(self) -> str:
            end(kind)

    return ValueError(Argument())


def with_a_broken_note(kind: str) -> BaseException:
    exc = ValueError("x")
    exc.__notes__ = [type("Note", (str,), {"__str__": lambda self: end(kind)})("n")]
    return exc


def with_a_broken_cause(kind: str) -> BaseException:
    exc = ValueError("x")
    exc.__cause__ = printing_itself(kind)
    return exc


def in_a_group(kind: str) -> BaseException:
    return BaseExceptionGroup("g", [printing_itself(kind)])


def with_a_broken_class(kind: str) -> BaseException:
    class Odd(Exception):
        @property  # type: ignore[misc]
        def __class__(self) -> t.Any:  # pyright: ignore[reportIncompatibleMethodOverride]
            end(kind)

    return Odd("x")


def with_a_broken_class_name(kind: str) -> BaseException:
    Meta.kind = kind
    return t.cast("BaseException", type.__call__(Meta, "Odd", (Exception,), {})("x"))


def with_a_text_that_cannot_be_encoded(kind: str) -> BaseException:
    class Text(str):
        def encode(self, *args: t.Any) -> bytes:
            end(kind)

    class Odd(Exception):
        def __str__(self) -> str:
            return Text("x")

    return Odd()


def with_a_text_that_is_none(kind: str) -> BaseException:
    return kind_of_exception(Exception, "Odd", __str__=lambda self: None)(kind)


def a_signal_without_an_outcome(kind: str) -> BaseException:
    class Odd(ControlFlow):
        def outcome(self) -> t.Any:
            end(kind)

    return Odd()


MAKERS = (
    printing_itself,
    with_a_broken_argument,
    with_a_broken_note,
    with_a_broken_cause,
    in_a_group,
    with_a_broken_class,
    with_a_broken_class_name,
    with_a_text_that_cannot_be_encoded,
    with_a_text_that_is_none,
    a_signal_without_an_outcome,
)


@sync_and_async
@pytest.mark.parametrize("kind", ENDS)
@pytest.mark.parametrize("maker", MAKERS, ids=lambda maker: maker.__name__)
async def test_an_exception_whose_own_code_ends_the_process_is_a_failed_attempt(
    maker: Callable[[str], BaseException], kind: str, style: Style
) -> None:
    def body(job: AnyJob) -> t.NoReturn:
        raise maker(kind)

    outcome = await outcome_of(style(body))
    assert (outcome["outcome"], outcome.get("unrecoverable")) == ("failed", None)


@sync_and_async
async def test_a_final_failure_stays_final_if_it_cannot_print_itself(style: Style) -> None:
    def body(job: AnyJob) -> t.NoReturn:
        raise kind_of_exception(UnrecoverableJobError, "Final", __str__=lambda self: sys.exit(1))

    outcome = await outcome_of(style(body))
    assert (outcome["error"]["message"], outcome["unrecoverable"]) == ("<Final cannot be shown>", True)


class Broken(pydantic.BaseModel):
    kind: str

    @pydantic.model_serializer
    def serialize(self) -> dict[str, t.Any]:
        end(self.kind)


class BrokenDict(dict[str, t.Any]):
    def items(self) -> t.Any:
        end(self["kind"])


def endless(kind: str) -> Iterator[int]:
    yield 1
    end(kind)


VALUES: dict[str, Callable[[str], object]] = {
    "a model": lambda kind: Broken(kind=kind),
    "a model in a list": lambda kind: [Broken(kind=kind)],
    "an iterator": endless,
    "an iterator in a dict": lambda kind: {"rows": endless(kind)},
}


@pytest.mark.parametrize("kind", ENDS)
@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
@pytest.mark.parametrize("hint", [t.Any, object, list[t.Any] | dict[str, t.Any] | Broken], ids=str)
async def test_a_result_whose_serializer_ends_the_process_fails_the_job_for_good(
    value: Callable[[str], object], kind: str, hint: t.Any
) -> None:
    async def process(job: AsyncJob) -> t.Any:
        return value(kind)

    process.__annotations__["return"] = hint
    outcome = await outcome_of(process)
    assert (outcome["outcome"], outcome.get("unrecoverable")) == ("failed", True)
    assert outcome["error"]["name"] == "ReturnValueError"


@sync_and_async
@pytest.mark.parametrize("kind", ENDS)
async def test_a_kind_of_dict_that_ends_the_process_fails_the_job_for_good(kind: str, style: Style) -> None:
    outcome = await outcome_of(style(lambda job: BrokenDict(kind=kind)))
    assert (outcome["outcome"], outcome.get("unrecoverable")) == ("failed", True)


class Checked(pydantic.BaseModel):
    to: str

    @pydantic.field_validator("to")
    @classmethod
    def check(cls, value: str) -> str:
        end(CHECKED.kind)


class CHECKED:
    kind = "SystemExit"


@pytest.mark.parametrize("kind", sorted(set(ENDS) - {"a signal"}))
async def test_a_validator_that_ends_the_process_fails_the_attempt(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CHECKED, "kind", kind)

    async def process(job: AsyncJob[Checked]) -> None: ...

    outcome = await outcome_of(process)
    assert outcome["outcome"] == "failed"


@sync_and_async
@pytest.mark.parametrize("kind", sorted(set(ENDS) - {"a signal"}))
async def test_a_mapping_of_errors_that_ends_the_process_fails_the_attempt(kind: str, style: Style) -> None:
    def body(job: AnyJob) -> t.NoReturn:
        raise LookupError

    worker = Worker("emails", style(body), errors={LookupError: lambda exc: end(kind)})
    outcome = await deliver(make_handler(worker))
    assert outcome["outcome"] == "failed"


@pytest.mark.parametrize("kind", ENDS)
async def test_a_replay_guard_that_ends_the_process_is_503(kind: str) -> None:
    class Guard:
        def claim(self, delivery_id: str, lifetime: float) -> bool:
            end(kind)

    def process(job: Job) -> None: ...

    body = encode(delivery())
    app = make_handler(Worker("emails", process), replay_guard=Guard())
    answer = await call(app, scope_of("/queues/emails", signed(body)), body_of(body))
    assert answer is not None
    assert answer.status == 503


async def test_ctrl_c_in_another_thread_than_the_main_one_is_a_failed_attempt() -> None:
    def process(job: Job) -> t.NoReturn:
        raise KeyboardInterrupt

    outcome = await outcome_of(process)
    assert outcome["error"]["name"] == "KeyboardInterrupt"


async def test_ctrl_c_of_the_apps_own_in_an_async_processor_is_a_failed_attempt() -> None:
    async def process(job: AsyncJob) -> t.NoReturn:
        raise KeyboardInterrupt("mine")

    outcome = await outcome_of(process)
    assert outcome["error"]["name"] == "KeyboardInterrupt"


@pytest.mark.parametrize("kind", ENDS)
async def test_an_outcome_that_cannot_be_written_is_a_final_failure(kind: str) -> None:
    body = encode_outcome(Completed(BrokenDict(kind=kind)))
    assert b'"unrecoverable":true' in body
