"""What a processor returns or raises, sync or async, and the outcome that it becomes."""

import asyncio
import sys
import typing as t
from collections.abc import Callable, Generator

import pytest

from nextmq_handler import (
    AsyncJob,
    DelayedError,
    RateLimitError,
    UnrecoverableJobError,
    WaitingChildrenError,
    Worker,
)
from nextmq_handler.protocol.wire import Delivery
from nextmq_handler.receiver.attempt import Attempt, run_sync
from nextmq_handler.settings import load_settings
from tests.support.handler import AnyJob, Body, Style, as_def, delivery, failed, outcome_of, sync_and_async

pytestmark = pytest.mark.anyio


def raising(exc: BaseException) -> Body:
    def body(job: AnyJob) -> t.NoReturn:
        raise exc

    return body


class Declined(UnrecoverableJobError):
    pass


OUTCOMES: dict[str, tuple[Body, dict[str, object]]] = {
    "returns": (
        lambda job: {"sent": job.data["to"]},
        {"outcome": "completed", "returnValue": {"sent": "ä@example.com"}},
    ),
    "returns nothing": (lambda job: None, {"outcome": "completed", "returnValue": None}),
    "raises": (raising(ValueError("no such address")), failed("ValueError", "no such address")),
    "raises a KeyError": (raising(KeyError("to")), failed("KeyError", "'to'")),
    "raises without a text": (raising(RuntimeError()), failed("RuntimeError", "")),
    "raises UnrecoverableJobError": (
        raising(UnrecoverableJobError("no such address")),
        failed("UnrecoverableJobError", "no such address", unrecoverable=True),
    ),
    "raises a kind of UnrecoverableJobError": (
        raising(Declined("card")),
        failed("Declined", "card", unrecoverable=True),
    ),
    "raises RateLimitError": (raising(RateLimitError(1500)), {"outcome": "rateLimited", "delay": 1500}),
    "raises DelayedError": (
        raising(DelayedError(1_900_000_000_000)),
        {"outcome": "delayed", "timestamp": 1_900_000_000_000},
    ),
    "raises WaitingChildrenError": (raising(WaitingChildrenError()), {"outcome": "waitingChildren"}),
    "moves to delayed": (
        lambda job: job.move_to_delayed(1_900_000_000_000),
        {"outcome": "delayed", "timestamp": 1_900_000_000_000},
    ),
    "moves to waiting children": (lambda job: job.move_to_waiting_children(), {"outcome": "waitingChildren"}),
    "exits": (lambda job: sys.exit(3), failed("SystemExit", "3")),
    "raises CancelledError of its own": (
        raising(asyncio.CancelledError("mine")),
        failed("CancelledError", "mine"),
    ),
    "raises a group of one signal": (
        raising(BaseExceptionGroup("tasks", [RateLimitError(5)])),
        {"outcome": "rateLimited", "delay": 5},
    ),
    "raises a group in a group of one signal": (
        raising(BaseExceptionGroup("tasks", [BaseExceptionGroup("inner", [DelayedError(1_900_000_000_005)])])),
        {"outcome": "delayed", "timestamp": 1_900_000_000_005},
    ),
    "raises a group of two signals": (
        raising(BaseExceptionGroup("tasks", [RateLimitError(5), RateLimitError(6)])),
        failed("BaseExceptionGroup", "tasks (2 sub-exceptions)"),
    ),
    "raises a group of errors": (
        raising(ExceptionGroup("tasks", [ValueError("a")])),
        failed("ExceptionGroup", "tasks (1 sub-exception)"),
    ),
}


@sync_and_async
@pytest.mark.parametrize(("body", "outcome"), OUTCOMES.values(), ids=OUTCOMES)
async def test_a_processor_that_does_this_has_that_outcome(
    body: Body, outcome: dict[str, object], style: Style
) -> None:
    assert await outcome_of(style(body), expose_stack=False) == outcome


@sync_and_async
@pytest.mark.parametrize("value", [object(), {1, 2}, float("nan"), b"x"], ids=["object", "set", "nan", "bytes"])
async def test_a_return_value_that_json_cannot_carry_fails_the_job_for_good(value: object, style: Style) -> None:
    outcome = await outcome_of(style(lambda job: value))
    assert (outcome.get("unrecoverable"), outcome["error"]["name"]) == (True, "ReturnValueError")


@sync_and_async
async def test_an_outcome_over_the_deliverys_limit_fails_the_job_for_good(style: Style) -> None:
    outcome = await outcome_of(style(lambda job: "x" * 1000), maxOutcomeBytes=1000)
    assert (outcome.get("unrecoverable"), outcome["error"]["name"]) == (True, "ReturnValueError")


@sync_and_async
async def test_a_broad_except_of_the_processor_lets_a_signal_through(style: Style) -> None:
    def body(job: AnyJob) -> str:
        try:
            raise RateLimitError(1500)
        except Exception:  # noqa: BLE001 - what the signal is to pass
            return "done"

    assert await outcome_of(style(body)) == {"outcome": "rateLimited", "delay": 1500}


async def test_a_signal_out_of_a_task_group_is_unwrapped() -> None:
    async def limited() -> None:
        raise RateLimitError(1500)

    async def process(job: AsyncJob[object]) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(limited())
            group.create_task(asyncio.Event().wait())

    assert await outcome_of(process) == {"outcome": "rateLimited", "delay": 1500}


def fail_with_a_cause(job: AnyJob) -> None:
    try:
        raise KeyError("the cause")
    except KeyError as exc:
        raise ValueError("the effect") from exc


@sync_and_async
@pytest.mark.parametrize(
    "part",
    [
        "Traceback (most recent call last):",
        "KeyError: 'the cause'",
        "The above exception was the direct cause of the following exception:",
        "ValueError: the effect",
        "in fail_with_a_cause",
    ],
)
async def test_the_stack_is_the_traceback_with_its_causes(part: str, style: Style) -> None:
    assert part in (await outcome_of(style(fail_with_a_cause)))["error"]["stack"]


@sync_and_async
async def test_a_stack_that_is_not_exposed_is_empty(style: Style) -> None:
    outcome = await outcome_of(style(fail_with_a_cause), expose_stack=False)
    assert outcome["error"] == {"name": "ValueError", "message": "the effect", "stack": ""}


@sync_and_async
async def test_a_long_stack_keeps_its_end(style: Style) -> None:
    outcome = await outcome_of(style(raising(ValueError("x" * 40_000 + "THE END"))))
    assert outcome["error"]["stack"].startswith("…\n")
    assert outcome["error"]["stack"].endswith("THE END\n")


@sync_and_async
async def test_a_long_message_is_cut_at_4_kb(style: Style) -> None:
    outcome = await outcome_of(style(raising(ValueError("x" * 5000))))
    assert outcome["error"]["message"] == "x" * 4096


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


class NoText(Exception):
    __str__ = t.cast("t.Any", lambda self: 7)


@sync_and_async
@pytest.mark.parametrize("exc", [Unprintable(), NoText()], ids=["raises", "no str"])
async def test_an_exception_that_cannot_be_printed_is_told_by_its_name(exc: Exception, style: Style) -> None:
    name = type(exc).__name__
    assert await outcome_of(style(raising(exc)), expose_stack=False) == failed(name, f"<{name} cannot be shown>")


async def test_stop_iteration_of_a_def_fails_the_attempt() -> None:
    outcome = await outcome_of(as_def(raising(StopIteration(1))), expose_stack=False)
    assert outcome == failed("StopIteration", "1")


def attempt_of(function: Callable[..., t.Any]) -> Attempt:
    return Attempt(
        Worker("emails", function),
        Delivery(delivery()),
        load_settings(environ={}),
        deadline=0.0,
        expose_stack=True,
    )


def test_keyboard_interrupt_leaves_the_processor_and_the_runner() -> None:
    with pytest.raises(KeyboardInterrupt):
        run_sync(attempt_of(raising(KeyboardInterrupt())))


class Awaitable:
    def __init__(self) -> None:
        self.closed = False

    def __await__(self) -> Generator[None]:
        yield

    def close(self) -> None:
        self.closed = True


async def coroutine() -> None: ...


@pytest.mark.parametrize("value", [coroutine, Awaitable], ids=["coroutine", "object"])
async def test_a_def_that_returns_an_awaitable_fails_the_job_for_good(value: Callable[[], object]) -> None:
    outcome = await outcome_of(lambda job: value())
    assert (outcome.get("unrecoverable"), outcome["error"]["name"]) == (True, "ReturnValueError")
    assert outcome["error"]["message"].endswith("make the processor async def")


async def test_an_awaitable_object_that_a_def_returns_is_left_open() -> None:
    value = Awaitable()
    await outcome_of(lambda job: value)
    assert not value.closed


class Proxy:
    def __getattr__(self, name: str) -> t.NoReturn:
        raise RuntimeError("not bound")


@sync_and_async
async def test_a_value_whose_attributes_raise_is_one_that_json_cannot_carry(style: Style) -> None:
    outcome = await outcome_of(style(lambda job: Proxy()))
    assert outcome["error"]["name"] == "ReturnValueError"
