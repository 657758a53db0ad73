"""The one kept event loop of a process without one: async processors in Flask, WSGI and Lambda run on it.

Kept, because what a processor binds to a loop (clients, pools, locks) must outlive one delivery.
"""

from __future__ import annotations

import atexit
import os
import threading
import typing as t
from concurrent.futures import Executor, Future
from queue import SimpleQueue

import anyio
from anyio.from_thread import BlockingPortal

T = t.TypeVar("T")
P = t.ParamSpec("P")

_lock = threading.Lock()
_portals: dict[int, BlockingPortal] = {}


def run(function: t.Callable[..., t.Awaitable[T]], *args: t.Any) -> T:
    """Await `function(*args)` on the kept loop, from a thread without a loop. Return or raise what it does."""
    return _portal().call(function, *args)


def run_beside(function: t.Callable[..., t.Awaitable[T]], *args: t.Any) -> T:
    """Do what `run` does with `function(executor, *args)`: what `executor` gets runs in this thread meanwhile."""
    executor = WaitingThread()
    return executor.work_until_done(_portal().start_task_soon(function, executor, *args))


class WaitingThread(Executor):
    """Runs what is submitted in the thread that waits for the kept loop, one call after the other."""

    def __init__(self) -> None:
        self._calls: SimpleQueue[t.Callable[[], None] | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._is_done = False

    def submit(self, fn: t.Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run a call in the waiting thread. Raises RuntimeError once nobody waits any more."""
        future: Future[T] = Future()

        def call() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                result = fn(*args, **kwargs)
            except BaseException as exc:  # noqa: BLE001 - raised where the call is awaited
                future.set_exception(exc)
            else:
                future.set_result(result)

        with self._lock:
            if self._is_done:
                raise RuntimeError("the delivery has been answered: its thread runs no calls any more")
            self._calls.put(call)
        return future

    def work_until_done(self, awaited: Future[T]) -> T:
        """Run calls in this thread until `awaited` is done. Return or raise what it does."""
        awaited.add_done_callback(self._stop)
        while (call := self._calls.get()) is not None:
            call()
        return awaited.result()

    def _stop(self, _: object) -> None:
        with self._lock:
            self._is_done = True
            self._calls.put(None)


def _portal() -> BlockingPortal:
    with _lock:
        # By process: a forked child has its parent's portal, but not the thread that runs it.
        portal = _portals.get(os.getpid())
        if portal is None:
            # Not anyio's start_blocking_portal: a forked child that ends would wait for its parent's thread.
            started: Future[BlockingPortal] = Future()
            thread = threading.Thread(target=_run_loop, args=(started,), name="nextmq-loop", daemon=True)
            thread.start()
            portal = _portals[os.getpid()] = started.result()
            atexit.register(_stop, portal, thread, os.getpid())
        return portal


def _run_loop(started: Future[BlockingPortal]) -> None:
    async def serve() -> None:
        async with BlockingPortal() as portal:
            started.set_result(portal)
            await portal.sleep_until_stopped()

    try:
        anyio.run(serve)
    except BaseException as exc:  # noqa: BLE001 - raised where the loop was asked for
        if not started.done():
            started.set_exception(exc)


def _stop(portal: BlockingPortal, thread: threading.Thread, pid: int) -> None:
    if pid == os.getpid():
        portal.call(portal.stop)
        thread.join()
