"""`Worker(errors={...})`: what the exceptions of others mean to the queue."""

import typing as t
from collections.abc import Callable

import pytest

from nextmq_handler import (
    ConfigurationError,
    DelayedError,
    Job,
    RateLimitError,
    UnrecoverableJobError,
    WaitingChildrenError,
    Worker,
)
from nextmq_handler.workers.worker import translate_error
from tests.support.handler import AnyJob, Body, Style, deliver, failed, make_handler, sync_and_async

pytestmark = pytest.mark.anyio

Errors = dict[type[BaseException], Callable[[t.Any], t.Any]]


class Busy(Exception):
    """A foreign library's exception."""


class VeryBusy(Busy):
    pass


def raising(exc: BaseException) -> Body:
    def body(job: AnyJob) -> t.NoReturn:
        raise exc

    return body


async def outcome_of(style: Style, raised: BaseException, errors: Errors, *, stack: bool = False) -> t.Any:
    """Return the outcome of a processor that raises this, with these `errors` of the worker."""
    worker = Worker("emails", style(raising(raised)), errors=errors)
    return await deliver(make_handler(worker, expose_stack=stack))


def raises(kind: Callable[[t.Any], BaseException], argument: object) -> Callable[[object], t.NoReturn]:
    def meaning(_: object) -> t.NoReturn:
        raise kind(argument)

    return meaning


LIMITED = {"outcome": "rateLimited", "delay": 1500}
MEANINGS: dict[str, tuple[Callable[[t.Any], object], dict[str, object]]] = {
    "RateLimitError": (lambda exc: RateLimitError(1500), LIMITED),
    "DelayedError": (
        lambda exc: DelayedError(1_900_000_000_000),
        {"outcome": "delayed", "timestamp": 1_900_000_000_000},
    ),
    "WaitingChildrenError": (lambda exc: WaitingChildrenError(), {"outcome": "waitingChildren"}),
    "UnrecoverableJobError": (
        lambda exc: UnrecoverableJobError(f"for good: {exc}"),
        failed("UnrecoverableJobError", "for good: try later", unrecoverable=True),
    ),
    "another exception": (lambda exc: ValueError(f"mine: {exc}"), failed("ValueError", "mine: try later")),
    "itself": (lambda exc: exc, failed("Busy", "try later")),
    "what it raises": (raises(LookupError, "nothing"), failed("LookupError", "nothing")),
    "a signal that it raises": (raises(RateLimitError, 1500), LIMITED),
    "a fault of its own": (lambda exc: 1 / 0, failed("ZeroDivisionError", "division by zero")),
}


@sync_and_async
@pytest.mark.parametrize(("meaning", "outcome"), MEANINGS.values(), ids=MEANINGS)
async def test_an_exception_means_what_the_worker_says(
    meaning: Callable[[t.Any], object], outcome: dict[str, object], style: Style
) -> None:
    assert await outcome_of(style, Busy("try later"), {Busy: meaning}) == outcome


NONSENSE: dict[str, tuple[t.Any, str]] = {
    "None": (None, "NoneType"),
    "a number": (5000, "int"),
    "text": ("later", "str"),
    "a class": (ValueError, "type"),
}


@sync_and_async
@pytest.mark.parametrize(("value", "kind"), NONSENSE.values(), ids=NONSENSE)
async def test_a_meaning_that_is_not_an_exception_fails_the_attempt_and_says_so(
    value: t.Any, kind: str, style: Style
) -> None:
    outcome = await outcome_of(style, Busy("try later"), {Busy: lambda exc: value})
    assert outcome == failed("TypeError", f"Worker('emails'): errors[Busy] gave {kind}, not an exception")


@sync_and_async
@pytest.mark.parametrize(
    ("meaning", "outcome"),
    [
        (RateLimitError(1500), LIMITED),
        (DelayedError(1_900_000_000_000), {"outcome": "delayed", "timestamp": 1_900_000_000_000}),
        (ValueError("mine"), failed("ValueError", "mine")),
        (WaitingChildrenError, {"outcome": "waitingChildren"}),
        (UnrecoverableJobError, failed("UnrecoverableJobError", "try later", unrecoverable=True)),
        (SystemExit, failed("SystemExit", "try later")),
    ],
    ids=repr,
)
async def test_a_meaning_may_be_an_exception_or_its_class(
    meaning: t.Any, outcome: dict[str, object], style: Style
) -> None:
    assert await outcome_of(style, Busy("try later"), {Busy: meaning}) == outcome


def test_each_failure_has_an_exception_of_its_own() -> None:
    worker = Worker("emails", errors={Busy: ValueError("mine")})
    first, second = Busy("first"), Busy("second")
    assert [translate_error(worker, exc).__cause__ for exc in (first, second)] == [first, second]


@sync_and_async
async def test_an_exception_that_is_not_mapped_is_itself(style: Style) -> None:
    outcome = await outcome_of(style, ValueError("x"), {Busy: lambda exc: RateLimitError(1500)})
    assert outcome == failed("ValueError", "x")


@sync_and_async
async def test_a_subclass_means_what_its_base_does(style: Style) -> None:
    assert await outcome_of(style, VeryBusy(), {Busy: lambda exc: RateLimitError(1500)}) == LIMITED


@sync_and_async
@pytest.mark.parametrize(
    ("kinds", "first"),
    [((VeryBusy, Busy), "VeryBusy"), ((Busy, VeryBusy), "Busy"), ((Exception, Busy), "Exception")],
)
async def test_the_first_type_that_fits_says_it(
    kinds: tuple[type[Exception], ...], first: str, style: Style
) -> None:
    def meaning_of(kind: type[Exception]) -> Callable[[object], BaseException]:
        return lambda exc: ValueError(kind.__name__)

    errors: Errors = {kind: meaning_of(kind) for kind in kinds}
    assert await outcome_of(style, VeryBusy(), errors) == failed("ValueError", first)


SIGNALS: dict[str, tuple[BaseException, dict[str, object]]] = {
    "RateLimitError": (RateLimitError(1500), LIMITED),
    "DelayedError": (DelayedError(1_900_000_000_000), {"outcome": "delayed", "timestamp": 1_900_000_000_000}),
    "WaitingChildrenError": (WaitingChildrenError(), {"outcome": "waitingChildren"}),
    "a group of one": (BaseExceptionGroup("tasks", [RateLimitError(1500)]), LIMITED),
}


@sync_and_async
@pytest.mark.parametrize(("signal", "outcome"), SIGNALS.values(), ids=SIGNALS)
async def test_a_signal_is_not_mapped_as_an_exception(
    signal: BaseException, outcome: dict[str, object], style: Style
) -> None:
    assert await outcome_of(style, signal, {Exception: lambda exc: ValueError("mapped")}) == outcome


@sync_and_async
@pytest.mark.parametrize("kind", [RateLimitError, BaseException])
async def test_a_signal_is_mapped_where_that_is_asked_for(kind: type[BaseException], style: Style) -> None:
    outcome = await outcome_of(style, RateLimitError(1500), {kind: lambda exc: ValueError("mapped")})
    assert outcome == failed("ValueError", "mapped")


@sync_and_async
async def test_a_group_of_exceptions_is_mapped_as_the_group(style: Style) -> None:
    group = ExceptionGroup("tasks", [Busy("a"), Busy("b")])
    assert await outcome_of(style, group, {ExceptionGroup: lambda exc: RateLimitError(1500)}) == LIMITED


@sync_and_async
async def test_an_exit_is_mapped_where_that_is_asked_for(style: Style) -> None:
    assert await outcome_of(style, SystemExit(3), {SystemExit: lambda exc: RateLimitError(1500)}) == LIMITED


CAUSES: dict[str, Callable[[t.Any], object]] = {
    "returned": lambda exc: ValueError("mine"),
    "raised": raises(ValueError, "mine"),
    "of nonsense": lambda exc: None,
}


@sync_and_async
@pytest.mark.parametrize("meaning", CAUSES.values(), ids=CAUSES)
async def test_the_exception_that_was_raised_stays_in_the_stack_as_the_cause(
    meaning: Callable[[t.Any], object], style: Style
) -> None:
    outcome = await outcome_of(style, Busy("try later"), {Busy: meaning}, stack=True)
    assert "Busy: try later\n\nThe above exception was the direct cause" in outcome["error"]["stack"]


@sync_and_async
async def test_a_cause_that_the_meaning_has_is_kept(style: Style) -> None:
    def meaning(exc: Busy) -> BaseException:
        mine = ValueError("mine")
        mine.__cause__ = KeyError("the cause of mine")
        return mine

    outcome = await outcome_of(style, Busy("try later"), {Busy: meaning}, stack=True)
    assert "KeyError: 'the cause of mine'\n\nThe above exception was the direct" in outcome["error"]["stack"]


@sync_and_async
async def test_a_meaning_that_is_the_exceptions_own_cause_has_a_stack(style: Style) -> None:
    busy = Busy("try later")
    busy.__cause__ = ValueError("why")
    outcome = await outcome_of(style, busy, {Busy: lambda exc: exc.__cause__}, stack=True)
    assert outcome["error"]["stack"].endswith("ValueError: why\n")


async def test_data_that_does_not_fit_is_not_mapped_as_an_exception() -> None:
    def process(job: Job[int]) -> None: ...

    worker = Worker("emails", process, errors={Exception: lambda exc: RateLimitError(1500)})
    outcome = await deliver(make_handler(worker))
    assert outcome["error"]["name"] == "DataValidationError"


@pytest.mark.parametrize("kind", ["Busy", Busy("x"), int, None, 7], ids=repr)
def test_what_is_not_an_exception_type_cannot_be_mapped(kind: t.Any) -> None:
    with pytest.raises(ConfigurationError, match=r"\AWorker\('emails'\): errors maps exception types, not "):
        Worker("emails", errors={kind: lambda exc: RateLimitError(1500)})


class Uncopied(Exception):
    def __init__(self, first: str, second: str) -> None:
        super().__init__(first + second)


@pytest.mark.parametrize(
    ("meaning", "reason"),
    [
        (None, "takes an exception, its class, or a function of the exception, not None"),
        (5000, "takes an exception, its class, or a function of the exception, not 5000"),
        (int, "is the class int, which is not an exception"),
        (
            RateLimitError,
            r"RateLimitError cannot be made anew for each failure \(.*\): give a function, lambda exc: R",
        ),
        (Uncopied("a", "b"), "Uncopied cannot be made anew for each failure"),
    ],
    ids=repr,
)
def test_a_meaning_that_cannot_work_is_refused_when_the_worker_is_made(meaning: t.Any, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"\AWorker\('emails'\): errors\[Busy\]:? {reason}"):
        Worker("emails", errors={Busy: meaning})


def test_errors_that_are_not_a_dict_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"\AWorker\('emails'\): errors takes a dict of exception types"):
        Worker("emails", errors=t.cast("t.Any", [Busy]))


def test_the_workers_errors_are_those_of_when_it_was_made() -> None:
    errors: Errors = {KeyError: lambda exc: RateLimitError(1500)}
    worker = Worker("emails", errors=errors)
    errors[Busy] = lambda exc: RateLimitError(1500)
    busy = Busy()
    assert translate_error(worker, busy) is busy
