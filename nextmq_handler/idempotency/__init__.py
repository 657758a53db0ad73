"""Idempotent processors: the second run of a job that finished returns the stored result.

@emails.processor("charge")
@idempotent(RedisStore(redis))
def charge(job: Job[Order]) -> Receipt: ...
"""

from __future__ import annotations

import functools
import time
import typing as t
import uuid

from .. import strict_json
from ..typed import ResultError, Signature, signature_of
from .memory import MemoryStore
from .redis import RedisStore
from .store import Busy, Finished, IdempotencyStore

if t.TYPE_CHECKING:
    from ..job import JobBase
    from .sqlalchemy import SQLAlchemyStore

P = t.TypeVar("P", bound="t.Callable[..., t.Any]")
Key = t.Callable[[t.Any], str]

_CO_COROUTINE = 0x80

__all__ = ["Busy", "Finished", "IdempotencyStore", "MemoryStore", "RedisStore", "SQLAlchemyStore", "idempotent"]


def idempotent(
    store: IdempotencyStore, *, key: Key | None = None, keep: float = 7 * 86_400, lease: float | None = None
) -> t.Callable[[P], P]:
    """Let a processor's work happen once for each key.

    `key` makes the key of a job; by default it is the queue's name and the job's id, which is the same in every
    attempt. A result is kept for `keep` s. While a run is under way its key is taken for `lease` s (by default the
    delivery's time, and a margin), so a crash in the middle frees it then; a run that raises frees it at once. A
    second run that meets the first one is moved to delayed until the lease may be over, no attempt burnt. What the
    store raises fails the attempt.
    """

    def decorate(function: P) -> P:
        once = _Once(store, function, key or _default_key, keep, lease)
        wrapper = _async_wrapper(function, once) if once.is_async else _wrapper(function, once)
        return t.cast("P", functools.wraps(function)(wrapper))

    return decorate


class _Once:
    """The steps around one processor."""

    def __init__(
        self, store: IdempotencyStore, function: t.Any, key: Key, keep: float, lease: float | None
    ) -> None:
        self._store = store
        self._function = function
        self._key = key
        self._keep = keep
        self._lease = lease
        self._signature: Signature | None = None
        self.is_async = bool(getattr(getattr(function, "__code__", None), "co_flags", 0) & _CO_COROUTINE)

    def begin(self, job: JobBase[t.Any]) -> tuple[str, Finished | None]:
        """This run's owner word, and the result where there is one. Raises DelayedError while another runs."""
        owner = uuid.uuid4().hex
        lease = self._lease if self._lease is not None else max(1.0, job.time_left() + 5)
        state = self._store.begin(self._key(job), owner, lease)
        if isinstance(state, Busy):
            job.move_to_delayed(round((time.time() + state.retry_after) * 1000) + 1)
        return owner, state

    def finish(self, job: JobBase[t.Any], owner: str, result: t.Any) -> t.Any:
        """Keep the result; it is what the processor returns."""
        if self._signature is None:
            label = getattr(self._function, "__qualname__", "the processor")
            self._signature = signature_of(self._function, is_async=self.is_async, owner=label)
        plain = self._signature.dump(result)
        try:
            text = strict_json.dumps(plain).decode()
        except (TypeError, ValueError) as exc:
            raise ResultError(f"the return value is not JSON: {exc}") from None
        self._store.finish(self._key(job), owner, text, self._keep)
        return plain

    def release(self, job: JobBase[t.Any], owner: str) -> None:
        """The run did not finish: another may begin."""
        self._store.release(self._key(job), owner)


def _wrapper(function: t.Callable[..., t.Any], once: _Once) -> t.Callable[..., t.Any]:
    def run(job: JobBase[t.Any]) -> t.Any:
        owner, finished = once.begin(job)
        if finished is not None:
            return strict_json.loads(finished.result.encode())
        try:
            return once.finish(job, owner, function(job))
        except BaseException:
            once.release(job, owner)
            raise

    return run


def _async_wrapper(function: t.Callable[..., t.Any], once: _Once) -> t.Callable[..., t.Any]:
    # Stores block, so their calls go to a thread.
    async def run(job: JobBase[t.Any]) -> t.Any:
        from anyio import CancelScope
        from anyio.to_thread import run_sync

        owner, finished = await run_sync(once.begin, job)
        if finished is not None:
            return strict_json.loads(finished.result.encode())
        try:
            return await run_sync(once.finish, job, owner, await function(job))
        except BaseException:
            with CancelScope(shield=True):  # also where the deadline cancelled the run
                await run_sync(once.release, job, owner)
            raise

    return run


def _default_key(job: JobBase[t.Any]) -> str:
    return f"{job.queue_name}:{job.id}"


if not t.TYPE_CHECKING:

    def __getattr__(name):
        if name != "SQLAlchemyStore":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from .sqlalchemy import SQLAlchemyStore

        return SQLAlchemyStore
