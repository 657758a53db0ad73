"""The one kept event loop of a process without one: async processors in Flask, WSGI and Lambda run on it.

Kept, because what a processor binds to a loop (clients, pools, locks) must outlive one delivery.
"""

from __future__ import annotations

import atexit
import os
import threading
import typing as t

from anyio.from_thread import BlockingPortal, start_blocking_portal

T = t.TypeVar("T")

_lock = threading.Lock()
_portals: dict[int, BlockingPortal] = {}


def run(function: t.Callable[..., t.Awaitable[T]], *args: t.Any) -> T:
    """Await `function(*args)` on the kept loop, from a thread that has none; its result or exception."""
    return _portal().call(function, *args)


def _portal() -> BlockingPortal:
    with _lock:
        # By process: a forked child has its parent's portal, but not the thread that runs it.
        portal = _portals.get(os.getpid())
        if portal is None:
            context = start_blocking_portal("asyncio")
            portal = _portals[os.getpid()] = context.__enter__()
            atexit.register(context.__exit__, None, None, None)
        return portal
