"""One run of a processor, and what its return value or exception means to the server (protocol section 3)."""

from __future__ import annotations

import contextlib
import sys
import typing as t
from collections.abc import Coroutine

from ..errors import DataError, ResultError, UnrecoverableJobError
from ..job import AsyncJob, ControlFlow, Job
from ..protocol.outcomes import MAX_STACK_SIZE, Completed, Failed, Outcome
from ..protocol.user_code import is_interrupt, kind_of, text_of
from ..protocol.wire import Delivery
from ..workers.processor import BoundProcessor
from ..workers.worker import Worker, find_processor, translate_error

if t.TYPE_CHECKING:
    from ..protocol.messages import Headers
    from ..settings import Settings
    from ..telemetry import Trace


class Untraced(contextlib.nullcontext[None]):
    """Stand in for `telemetry.Trace` in an app that does not trace."""

    def failed(self, _exc: BaseException) -> None:
        """Record nothing."""

    def ended(self, _outcome: Outcome) -> None:
        """Record nothing."""


UNTRACED = Untraced()


def trace_of(delivery: Delivery, headers: Headers) -> Trace | Untraced:
    """Return what traces a delivery's run. An app that has not loaded OpenTelemetry pays nothing."""
    if "opentelemetry.context" not in sys.modules:
        return UNTRACED
    from ..telemetry import Trace

    return Trace(delivery, headers)


class Attempt:
    """One run of a processor: which one, with which job, until when (monotonic s). A driver sets `outcome`."""

    outcome: Outcome

    def __init__(
        self,
        worker: Worker,
        delivery: Delivery,
        settings: Settings,
        *,
        deadline: float,
        expose_stack: bool,
        trace: Trace | Untraced = UNTRACED,
    ) -> None:
        self.worker: Worker = worker
        self.delivery: Delivery = delivery
        self.deadline: float = deadline
        self.expose_stack: bool = expose_stack
        self.trace: Trace | Untraced = trace
        self.raised: tuple[Failed, BaseException] | None = None
        """A failure and the exception that it stands for. A processor that was given up may still set it."""
        self.processor: BoundProcessor | None = find_processor(worker, delivery.job.name)
        is_async = self.processor is not None and self.processor.is_async
        kind = _kind_of_job(delivery, is_async=is_async)
        self.job: AsyncJob[t.Any] | Job[t.Any] = kind(delivery, settings, deadline=deadline)

    def unknown_job_name(self) -> Failed:
        """Return the outcome of a job name without a processor: an older deploy may be answering."""
        from ..rules.near_names import nearest

        name, names = self.delivery.job.name, self.worker.job_names
        near = nearest(name, names)
        known = ", ".join(map(repr, sorted(names, key=lambda known: known != near)))
        return Failed(
            "UnknownJobName",
            f"queue {self.worker.name} has no processor for jobs named {name!r}; it has {known}",
        )

    def deadline_exceeded(self) -> Failed:
        """Return the outcome of a processor that was still running at its deadline."""
        return Failed(
            "DeadlineExceeded",
            f"the processor was still running when the delivery's time, {self.delivery.timeout} ms, was over",
        )

    def load(self) -> Outcome | None:
        """Convert the job's data to what the processor's annotation says. Return the outcome if that fails."""
        assert self.processor is not None
        try:
            self.job.data = self.processor.signature.load(self.job.data)
        except DataError as exc:
            return self._failed(exc, Failed("DataValidationError", str(exc), unrecoverable=True))
        except BaseException as exc:
            if is_interrupt(exc):
                raise
            return self.outcome_of(exc)  # a validator may exit, or signal
        return None

    def completed(self, result: t.Any) -> Outcome:
        """Return the outcome of a processor that returned `result`."""
        assert self.processor is not None
        try:
            return Completed(self.processor.signature.dump(result))
        except ResultError as exc:
            return self.outcome_of(exc)

    def outcome_of(self, exc: BaseException) -> Outcome:
        """Return what an exception of the processor means to the server. Raises nothing."""
        try:
            return self._meaning_of(exc)
        except BaseException:  # noqa: BLE001 - the exception's own class and members are the app's code
            return self._failed(exc, Failed(kind_of(exc), text_of(exc)))

    def _failed(self, exc: BaseException, failure: Failed) -> Failed:
        self.raised = failure, exc
        return failure

    def _meaning_of(self, exc: BaseException) -> Outcome:
        if isinstance(exc, ResultError):  # the work was done: nothing that maps exceptions may run it again
            return self._failed(exc, Failed("ReturnValueError", text_of(exc), unrecoverable=True))
        exc = translate_error(self.worker, _signal_in(exc) or exc)
        outcome = exc.outcome() if isinstance(exc, ControlFlow) else None
        if outcome is not None:
            return outcome
        self.trace.failed(exc)
        stack = _stack(exc) if self.expose_stack else ""
        if isinstance(exc, SystemExit) and (ended := _platform_end(exc)) is not None:
            return self._failed(exc, Failed(*ended, stack))
        is_unrecoverable = isinstance(exc, UnrecoverableJobError)
        return self._failed(exc, Failed(kind_of(exc), text_of(exc), stack, unrecoverable=is_unrecoverable))


def _kind_of_job(delivery: Delivery, *, is_async: bool) -> type[AsyncJob[t.Any]] | type[Job[t.Any]]:
    if delivery.is_replay:
        from .replayed import ReplayedAsyncJob, ReplayedJob  # a person sent it

        return ReplayedAsyncJob if is_async else ReplayedJob
    return AsyncJob if is_async else Job


def run_sync(attempt: Attempt) -> Outcome:
    """Run a `def` processor in this thread. Raises nothing but the Ctrl-C that stops this process."""
    processor = attempt.processor
    if processor is None:
        return attempt.unknown_job_name()
    unfit = attempt.load()
    if unfit is not None:
        return unfit
    try:
        value: object = processor.function(attempt.job)
        if hasattr(type(value), "__await__"):
            return _awaitable_returned(value)
        return attempt.completed(value)
    except BaseException as exc:
        if is_interrupt(exc):
            raise
        return attempt.outcome_of(exc)  # SystemExit and ControlFlow are outcomes too


def _signal_in(exc: BaseException) -> ControlFlow | None:
    """Return the one control-flow signal of an exception group, so that a task group does not hide it."""
    signals = [leaf for leaf in _leaves(exc) if isinstance(leaf, ControlFlow)]
    return signals[0] if len(signals) == 1 else None


def _leaves(exc: BaseException) -> t.Iterator[BaseException]:
    if not isinstance(exc, BaseExceptionGroup):
        yield exc
        return
    group = t.cast("BaseExceptionGroup[BaseException]", exc)
    for member in group.exceptions:
        yield from _leaves(member)


def _stack(exc: BaseException) -> str:
    import traceback  # slow to import, and needed on failure only

    try:
        text = "".join(traceback.format_exception(exc))
    except BaseException:  # noqa: BLE001 - an exception may fail to print itself, or exit
        return ""
    raw = text.encode("utf-8", "replace")
    if len(raw) <= MAX_STACK_SIZE:
        return text
    # The end of a Python traceback says what happened.
    return "…\n" + raw[8 - MAX_STACK_SIZE :].decode("utf-8", "ignore")


def _platform_end(exc: SystemExit) -> tuple[str, str] | None:
    from .checks import platform_end  # few processors exit

    return platform_end(exc)


def _awaitable_returned(value: t.Any) -> Failed:
    if isinstance(value, Coroutine):
        value.close()  # one that is never awaited warns
    return Failed(
        "ReturnValueError",
        "a def processor returned an awaitable, which nobody awaits: make the processor async def",
        unrecoverable=True,
    )
