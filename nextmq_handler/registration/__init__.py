"""Tell the server which queues this app works for, and where (protocol section 4).

The calls are loaded when they are first used: a delivery needs the fingerprint alone.
"""

from __future__ import annotations

import typing as _t

from .body import fingerprint, registration_of, worker_url

if _t.TYPE_CHECKING:
    from .calls import (
        WorkerStatus,
        aensure_workers_registered,
        aget_worker_registration_statuses,
        aregistrations,
        aunregister_workers,
        ensure_workers_registered,
        get_worker_registration_statuses,
        registrations,
        unregister_workers,
    )

__all__ = [
    "WorkerStatus",
    "aensure_workers_registered",
    "aget_worker_registration_statuses",
    "aregistrations",
    "aunregister_workers",
    "ensure_workers_registered",
    "fingerprint",
    "get_worker_registration_statuses",
    "registration_of",
    "registrations",
    "unregister_workers",
    "worker_url",
]

if not _t.TYPE_CHECKING:

    def __getattr__(name):
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from . import calls

        return getattr(calls, name)
