"""The one kept event loop of a process without one: async processors in Flask, WSGI and Lambda run on it.

Kept, because what a processor binds to a loop (clients, pools, locks) must outlive one delivery.
"""

from __future__ import annotations

import atexit
import os
import threading
import typing as t
from concurrent.futures import Future

import anyio
from anyio.from_thread import BlockingPortal

T = t.TypeVar("T")

_lock = threading.Lock()
_portals: dict[int, BlockingPortal] = {}


def run(function: t.Callable[..., t.Awaitable[T]], *args: t.Any) -> T:
    """Await `function(*args)` on the kept loop, from a thread without a loop. Return or raise what it does."""
    return _portal().call(function, *args)


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
