"""Tell the server which queues this app works for, and where (protocol section 4)."""

from .calls import (
    WorkerStatus,
    aensure_workers_registered,
    aget_worker_registration_statuses,
    aunregister_workers,
    ensure_workers_registered,
    get_worker_registration_statuses,
    unregister_workers,
)

__all__ = [
    "WorkerStatus",
    "aensure_workers_registered",
    "aget_worker_registration_statuses",
    "aunregister_workers",
    "ensure_workers_registered",
    "get_worker_registration_statuses",
    "unregister_workers",
]
