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

from ..errors import ResultError
from ..protocol import strict_json
from ..workers.annotations import RETURNS_JSON
from ..workers.processor import bind
from .memory import MemoryStore
from .redis import RedisStore
from .store import Busy, Finished, IdempotencyStore

if t.TYPE_CHECKING:
    from ..job import JobBase
    from .sqlalchemy import SQLAlchemyStore

P = t.TypeVar("P", bound="t.Callable[..., t.Any]")
Key = t.Callable[[t.Any], str]

__all__ = ["Busy", "Finished", "IdempotencyStore", "MemoryStore", "RedisStore", "SQLAlchemyStore", "idempotent"]


def idempotent(
    store: IdempotencyStore, *, key: Key | None = None, keep: float = 7 * 86_400, lease: float | None = None
) -> t.Callable[[P], P]:
    """Let a processor's work happen once for each key.

    `key` makes the key of a job; by default it is the queue's name, the job's id and when it was added, the
    same in every attempt, and another one where an id is used again. A result is kept for `keep` s. While a run
    is under way its key is taken for `lease` s (by default the delivery's time, and a margin), so a crash in
    the middle frees it then; a run that raises frees it at once. A second run that meets the first one is moved
    to delayed until the lease may be over, no attempt burnt. What the store raises fails the attempt. Raises
    ConfigurationError for what does not take exactly one job.
    """

    def decorate(function: P) -> P:
        once = _Once(store, function, key or _default_key, keep, lease)
        wrapper = _async_wrapper(function, once) if once.is_async else _wrapper(function, once)
        setattr(wrapper, RETURNS_JSON, True)
        return t.cast("P", functools.wraps(function)(wrapper))

    return decorate


class _Claim(t.NamedTuple):
    """A key, and the word of the run that took it."""

    key: str
    owner: str


class _Once:
    """The steps around one processor."""

    def __init__(
        self, store: IdempotencyStore, function: t.Any, key: Key, keep: float, lease: float | None
    ) -> None:
        self._store = store
        self._processor = bind(function, "idempotent")
        self._key = key
        self._keep = keep
        self._lease = lease
        self.is_async = self._processor.is_async

    def begin(self, job: JobBase[t.Any]) -> tuple[_Claim, Finished | None]:
        """This run's claim, and the result where there is one. Raises DelayedError while another runs."""
        claim = _Claim(self._key(job), uuid.uuid4().hex)
        lease = self._lease if self._lease is not None else max(1.0, job.time_left() + 5)
        state = self._store.begin(*claim, lease)
        if isinstance(state, Busy):
            job.move_to_delayed(round((time.time() + state.retry_after) * 1000) + 1)
        return claim, state

    def finish(self, claim: _Claim, result: t.Any) -> t.Any:
        """Keep the result; it is what the processor returns."""
        plain = self._processor.signature.dump(result)
        try:
            text = strict_json.dumps(plain).decode()
        except (TypeError, ValueError) as exc:
            raise ResultError(f"the return value is not JSON: {exc}") from None
        self._store.finish(*claim, text, self._keep)
        return plain

    def release(self, claim: _Claim) -> None:
        """The run did not finish: another may begin."""
        self._store.release(*claim)


def _wrapper(function: t.Callable[..., t.Any], once: _Once) -> t.Callable[..., t.Any]:
    def run(job: JobBase[t.Any]) -> t.Any:
        claim, finished = once.begin(job)
        if finished is not None:
            return strict_json.loads(finished.result.encode())
        try:
            return once.finish(claim, function(job))
        except BaseException:
            once.release(claim)
            raise

    return run


def _async_wrapper(function: t.Callable[..., t.Any], once: _Once) -> t.Callable[..., t.Any]:
    # Stores block, so their calls go to a thread.
    async def run(job: JobBase[t.Any]) -> t.Any:
        from anyio import CancelScope
        from anyio.to_thread import run_sync

        claim, finished = await run_sync(once.begin, job)
        if finished is not None:
            return strict_json.loads(finished.result.encode())
        try:
            return await run_sync(once.finish, claim, await function(job))
        except BaseException:
            with CancelScope(shield=True):  # also where the deadline cancelled the run
                await run_sync(once.release, claim)
            raise

    return run


def _default_key(job: JobBase[t.Any]) -> str:
    return f"{job.queue_name}:{job.id}:{job.timestamp}"


if not t.TYPE_CHECKING:

    def __getattr__(name):
        if name != "SQLAlchemyStore":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from .sqlalchemy import SQLAlchemyStore

        return SQLAlchemyStore
