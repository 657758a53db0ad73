"""Tell the server which queues this app works for, and where (protocol section 4)."""

# pyright: reportDeprecated=false

from __future__ import annotations

import typing as _t

from .._package import public_names as _public_names

if _t.TYPE_CHECKING:
    from .body import fingerprint as fingerprint
    from .body import registration_of as registration_of
    from .body import worker_url as worker_url
    from .calls import WorkerStatus as WorkerStatus
    from .calls import aensure_workers_registered as aensure_workers_registered
    from .calls import aget_worker_registration_statuses as aget_worker_registration_statuses
    from .calls import aregistrations as aregistrations
    from .calls import aunregister_workers as aunregister_workers
    from .calls import ensure_workers_registered as ensure_workers_registered
    from .calls import get_worker_registration_statuses as get_worker_registration_statuses
    from .calls import registrations as registrations
    from .calls import unregister_workers as unregister_workers

    __all__: list[str]
else:  # hidden from checkers, so that they report a name that does not exist
    __getattr__, __dir__, __all__ = _public_names(
        __name__,
        {
            ".body": "fingerprint registration_of worker_url",
            ".calls": (
                "WorkerStatus aensure_workers_registered aget_worker_registration_statuses aregistrations "
                "aunregister_workers ensure_workers_registered get_worker_registration_statuses registrations "
                "unregister_workers"
            ),
        },
    )
