"""What producers tell the handlers of their process: that it adds jobs, so it is an app that serves."""

from __future__ import annotations

import threading
import typing as t
import weakref


class ServesJobs(t.Protocol):
    """A handler that wants to hear of the jobs that its process adds."""

    def job_added(self) -> None:
        """Do something quick. It is called in the thread that adds the job."""
        ...


_listeners: weakref.WeakSet[ServesJobs] = weakref.WeakSet()
_lock = threading.Lock()


def listen(listener: ServesJobs) -> None:
    """Call `listener.job_added` at each add from now on, as long as the listener lives."""
    with _lock:
        _listeners.add(listener)


def ignore(listener: ServesJobs) -> None:
    """Do not call it any more."""
    with _lock:
        _listeners.discard(listener)


def job_added() -> None:
    """Tell those that listen. An app that serves as it should has none."""
    if _listeners:
        with _lock:
            called = list(_listeners)
        for listener in called:
            listener.job_added()
