"""Run a `def` processor: in the calling thread."""

from __future__ import annotations

import typing as t
from collections.abc import Coroutine

from ..protocol.wire import Failed, Outcome
from .attempt import Attempt


def run_sync(attempt: Attempt) -> Outcome:
    """Run a `def` processor in this thread. Raises nothing but KeyboardInterrupt."""
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
    except KeyboardInterrupt:
        raise
    except BaseException as exc:  # noqa: BLE001 - SystemExit and ControlFlow are outcomes too
        return attempt.outcome_of(exc)


def _awaitable_returned(value: t.Any) -> Failed:
    if isinstance(value, Coroutine):
        value.close()  # one that is never awaited warns
    return Failed(
        "ReturnValueError",
        "a def processor returned an awaitable, which nobody awaits: make the processor async def",
        unrecoverable=True,
    )
