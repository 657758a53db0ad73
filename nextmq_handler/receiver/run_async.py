"""Run a processor under an event loop: awaited to its deadline, or in a thread."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
import typing as t

import anyio
import anyio.to_thread

from ..job import abandon
from ..protocol.outcomes import Outcome
from ..protocol.user_code import is_interrupt
from .attempt import Attempt, run_sync

CLEANUP_TIME = 0.25
"""How long, in s, a processor that was cancelled at its deadline may clean up before the answer leaves: at most
this, and at most half of the margin that the deadline leaves."""

_stragglers: set[asyncio.Task[t.Any]] = set()


async def run_async(attempt: Attempt, limiter: anyio.CapacityLimiter) -> Outcome:
    """Run the attempt's processor until its deadline at the latest: a `def` one in a thread of `limiter`."""
    processor = attempt.processor
    if processor is None:
        return attempt.unknown_job_name()
    if processor.is_async:
        return await run_coroutine(attempt)
    return await _run_in_thread(attempt, limiter)


async def run_coroutine(attempt: Attempt) -> Outcome:
    """Await an `async def` processor, until its deadline at the latest."""
    assert attempt.processor is not None
    unfit = attempt.load()
    if unfit is not None:
        return unfit
    coroutine: t.Coroutine[t.Any, t.Any, t.Any] = attempt.processor.function(attempt.job)
    # A task of its own: at the deadline it is cancelled once, so its cleanup may await, and the answer does not
    # depend on that cleanup ever ending.
    task = asyncio.create_task(_outcome(attempt, coroutine))
    try:
        await asyncio.wait({task}, timeout=attempt.deadline - time.monotonic())
        if not task.done():
            abandon(attempt.job)
            task.cancel()
            await asyncio.wait({task}, timeout=min(CLEANUP_TIME, attempt.delivery.timeout / 20_000))
            _keep(task)
            return attempt.deadline_exceeded()
    except asyncio.CancelledError:
        task.cancel()
        _keep(task)
        raise
    return task.result()


async def _outcome(attempt: Attempt, coroutine: t.Coroutine[t.Any, t.Any, t.Any]) -> Outcome:
    try:
        return attempt.completed(await coroutine)
    except BaseException as exc:
        task = asyncio.current_task()
        # Not isinstance(), which reads `__class__`: that may be a property of the app's.
        is_cancelled = issubclass(type(exc), asyncio.CancelledError) and task is not None and task.cancelling()
        if is_cancelled or is_interrupt(exc):
            raise
        return attempt.outcome_of(exc)


def _keep(task: asyncio.Task[t.Any]) -> None:
    """Hold a cancelled task until it ends, and take its exception so that asyncio does not log it again."""
    _stragglers.add(task)

    def forget(done: asyncio.Task[t.Any]) -> None:
        _stragglers.discard(done)
        if not done.cancelled():
            done.exception()

    task.add_done_callback(forget)


async def _run_in_thread(attempt: Attempt, limiter: anyio.CapacityLimiter) -> Outcome:
    loop = asyncio.get_running_loop()
    outcome: Outcome | None = None
    has_slot = False
    # Taken once: by the thread, which then runs the processor, or below if the attempt is given up before that.
    claim = threading.Lock()

    def in_thread() -> Outcome:
        if not claim.acquire(blocking=False):
            return attempt.deadline_exceeded()
        try:
            return run_sync(attempt)
        finally:
            # An abandoned processor keeps its slot until its thread ends: the limit is one of threads.
            with contextlib.suppress(RuntimeError):  # the loop has closed: the process is ending
                loop.call_soon_threadsafe(limiter.release_on_behalf_of, attempt)

    try:
        with anyio.move_on_after(attempt.deadline - time.monotonic()):
            await limiter.acquire_on_behalf_of(attempt)
            has_slot = True
            outcome = await anyio.to_thread.run_sync(
                in_thread, abandon_on_cancel=True, limiter=anyio.CapacityLimiter(1)
            )
    finally:
        if has_slot and claim.acquire(blocking=False):
            limiter.release_on_behalf_of(attempt)
    if outcome is None:
        abandon(attempt.job)
        return attempt.deadline_exceeded()
    return outcome
