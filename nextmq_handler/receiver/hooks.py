"""Call a worker's hooks: beside the processor, for a bounded time, and without an effect on the job."""

from __future__ import annotations

import time
import typing as t

from ..protocol.user_code import is_interrupt, kind_of
from ..workers.worker import find_hook
from .attempt import Attempt

if t.TYPE_CHECKING:
    import anyio

    from ..workers.hooks import Hook, HookName

MAX_HOOK_TIME = 5.0
"""How long, in s, an answer waits for a hook at most."""

LATE_HOOK_TIME = 0.1
"""The same after the delivery's deadline, and at most a quarter of the margin that the deadline leaves."""


class HookCall:
    """A step: call a hook. Use `call` without a loop, `call_awaited` on one. Both raise only Ctrl-C."""

    def __init__(self, hook: Hook, attempt: Attempt, args: tuple[t.Any, ...]) -> None:
        self._hook = hook
        self._attempt = attempt
        self._args = args

    def call(self) -> None:
        """Call the hook: a `def` in a thread, which is left behind if it takes too long."""
        if self._hook.is_async:
            from . import kept_loop

            kept_loop.run(self._await)
            return
        import threading
        from contextvars import copy_context

        thread = threading.Thread(target=copy_context().run, args=(self._call,), name="nextmq-hook", daemon=True)
        thread.start()
        thread.join(self._time_left())
        if thread.is_alive():
            self._gave_up()

    async def call_awaited(self, limiter: anyio.CapacityLimiter) -> None:
        """Await the hook, or call a `def` one in a thread of `limiter`."""
        if self._hook.is_async:
            await self._await()
            return
        import anyio
        import anyio.to_thread

        with anyio.move_on_after(self._time_left()) as scope:
            await anyio.to_thread.run_sync(self._call, abandon_on_cancel=True, limiter=limiter)
        if scope.cancelled_caught:
            self._gave_up()

    async def _await(self) -> None:
        import asyncio

        async def guarded() -> None:
            try:
                await self._hook.function(*self._args)
            except BaseException as exc:
                is_cancelled = issubclass(type(exc), asyncio.CancelledError) and task.cancelling()
                if is_cancelled or is_interrupt(exc):
                    raise
                self._failed(exc)

        task = asyncio.create_task(guarded())
        try:
            await asyncio.wait({task}, timeout=self._time_left())
        finally:
            if not task.done():
                task.cancel()
                self._gave_up()

    def _call(self) -> None:
        try:
            answer: object = self._hook.function(*self._args)
            if hasattr(type(answer), "__await__"):
                raise TypeError("a def hook returned an awaitable, which nobody awaits: make the hook async def")
        except BaseException as exc:
            if is_interrupt(exc):
                raise
            self._failed(exc)

    def _time_left(self) -> float:
        late = min(LATE_HOOK_TIME, self._attempt.delivery.timeout / 40_000)
        return min(MAX_HOOK_TIME, max(late, self._attempt.deadline - time.monotonic()))

    def _failed(self, exc: BaseException) -> None:
        import logging

        args = (self._hook.name, self._attempt.worker, kind_of(exc))
        logging.getLogger("nextmq_handler").error("the hook %s of %s failed with %s", *args, exc_info=exc)

    def _gave_up(self) -> None:
        import logging

        args = (self._hook.name, self._attempt.worker)
        logging.getLogger("nextmq_handler").warning(
            "the hook %s of %s takes too long: the answer leaves without it", *args
        )


def hook_calls(name: HookName, attempt: Attempt, *args: t.Any) -> t.Iterator[HookCall]:
    """Yield the call of the worker's hook `name` with the job and `args`, if it has that hook."""
    hook = find_hook(attempt.worker, name)
    if hook is not None:
        yield HookCall(hook, attempt, (attempt.job, *args))
