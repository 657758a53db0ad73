"""Lock tokens: BullMQ keeps with a job's lock who took it, and each start has a token of its own."""

from __future__ import annotations

TOKEN_PREFIX = "nmq-"  # noqa: S105 - lock tokens are not secrets


def server_of(token: str) -> str:
    """Return the name under which the server process that made a lock token works: BullMQ's `processedBy`."""
    return token.partition(":")[0]


def owner_of(token: str, worker: str | None) -> str:
    """Return who holds a lock, in words. `worker` is the job's `processedBy`, which may be of an earlier start."""
    holder = server_of(token)
    if holder.startswith(TOKEN_PREFIX):
        return f"server {holder.removeprefix(TOKEN_PREFIX)}"
    has_name = worker and not worker.startswith(TOKEN_PREFIX)
    return f"BullMQ worker {worker if has_name else holder}"
