"""Child processes that end with the process that started them, even if that is killed."""

from __future__ import annotations

import ctypes
import os
import signal
import typing as t

_PR_SET_PDEATHSIG = 1


def die_with_parent() -> t.Callable[[], None]:
    """Return a `preexec_fn`: the child gets SIGTERM when the thread that starts it ends. Only Linux has that."""
    parent = os.getpid()
    # Looked up before the fork: nothing may be loaded after it.
    prctl = getattr(ctypes.CDLL(None), "prctl", None)

    def prepare() -> None:
        if prctl is not None:
            prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
            if os.getppid() != parent:  # it died before the call
                os._exit(1)

    return prepare
