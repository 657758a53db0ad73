"""Idempotent processors: the second run of a job that finished returns the stored result.

@emails.processor("charge")
@idempotent(RedisStore(redis))
def charge(job: Job[Order]) -> Receipt: ...
"""

from __future__ import annotations

import functools
import typing as t
import uuid

from .._package import public_names
from ..errors import ResultError
from ..protocol import strict_json
from ..protocol.arguments import timeout_seconds
from ..workers.annotations import RETURNS_JSON
from ..workers.processor import BoundProcessor, bind
from .memory import MemoryStore
from .redis import RedisStore
from .store import Busy, Finished, IdempotencyStore

if t.TYPE_CHECKING:
    from datetime import timedelta

    from ..job import JobBase
    from .sqlalchemy import SQLAlchemyStore

Processed = t.TypeVar("Processed", bound="t.Callable[..., t.Any]")
Key = t.Callable[[t.Any], str]
_MOST_KEEP_S = 10 * 365 * 86_400.0
Claim = tuple[str, str]
"""A key, and the run that holds it."""

__all__ = ["Busy", "Finished", "IdempotencyStore", "MemoryStore", "RedisStore", "SQLAlchemyStore", "idempotent"]


def idempotent(
    store: IdempotencyStore,
    *,
    key: Key | None = None,
    keep: float | timedelta = 7 * 86_400,
    lease: float | timedelta | None = None,
) -> t.Callable[[Processed], Processed]:
    """Do a processor's work once for each key, and return the stored result from then on.

    `key` makes the key of a job. The default is the queue's name, the job's id and the time when it was added:
    the same in every attempt, and another one if an id is used again. The store keeps a result for `keep` (float s
    or a timedelta). A run holds its key for `lease` (float s or a timedelta; by default the delivery's time and a
    margin), so that a crash frees the key in the end; a run that raises frees it at once. If a second run meets
    the first one, its job is retried when the lease is over, which uses no attempt. An error of the store fails
    the attempt. A replay (`job.is_replay`) neither asks nor changes the store. Raises ConfigurationError for a
    duration that cannot work, and for a function that does not take exactly one job.
    """
    keep_s = timeout_seconds("idempotent: keep", keep, most=_MOST_KEEP_S)
    lease_s = None if lease is None else timeout_seconds("idempotent: lease", lease)

    def decorate(function: Processed) -> Processed:
        once = _Once(store, bind(function, "idempotent"), key or _default_key, keep_s, lease_s)
        wrapper = _async_wrapper(function, once) if once.processor.is_async else _wrapper(function, once)
        setattr(wrapper, RETURNS_JSON, True)
        return t.cast("Processed", functools.wraps(function)(wrapper))

    return decorate


class _Once(t.NamedTuple):
    """The steps before and after a run of one processor."""

    store: IdempotencyStore
    processor: BoundProcessor
    key: Key
    keep: float
    lease: float | None

    def begin(self, job: JobBase[t.Any]) -> tuple[Claim, Finished | None]:
        """Claim the key; also return its stored result, if any. Raises DelayedError while another run holds it."""
        claim = (self.key(job), uuid.uuid4().hex)
        lease = self.lease if self.lease is not None else max(1.0, job.time_left() + 5)
        state = self.store.begin(*claim, lease)
        if isinstance(state, Busy):
            job.retry_in(round(state.retry_after * 1000) + 1)
        return claim, state

    def finish(self, claim: Claim, result: t.Any) -> t.Any:
        """Store the result, and return it as JSON values."""
        plain = self.processor.signature.dump(result)
        try:
            text = strict_json.dumps(plain).decode()
        except (TypeError, ValueError):
            from ..protocol.plain import problem_of

            raise ResultError(f"the return value is not JSON: {problem_of(plain)}") from None
        self.store.finish(*claim, text, self.keep)
        return plain


def _wrapper(function: t.Callable[..., t.Any], once: _Once) -> t.Callable[..., t.Any]:
    def run(job: JobBase[t.Any]) -> t.Any:
        if job.is_replay:  # its result must not stand for that of the job
            return once.processor.signature.dump(function(job))
        claim, finished = once.begin(job)
        if finished is not None:
            return strict_json.loads(finished.result.encode())
        try:
            return once.finish(claim, function(job))
        except BaseException:
            once.store.release(*claim)
            raise

    return run


def _async_wrapper(function: t.Callable[..., t.Any], once: _Once) -> t.Callable[..., t.Any]:
    # A store's calls block, so they run in a thread.
    async def run(job: JobBase[t.Any]) -> t.Any:
        from anyio import CancelScope
        from anyio.to_thread import run_sync

        if job.is_replay:
            return once.processor.signature.dump(await function(job))
        claim, finished = await run_sync(once.begin, job)
        if finished is not None:
            return strict_json.loads(finished.result.encode())
        try:
            return await run_sync(once.finish, claim, await function(job))
        except BaseException:
            with CancelScope(shield=True):  # also if the deadline cancelled the run
                await run_sync(once.store.release, *claim)
            raise

    return run


def _default_key(job: JobBase[t.Any]) -> str:
    return f"{job.queue_name}:{job.id}:{job.timestamp}"


if not t.TYPE_CHECKING:
    __getattr__, _, _ = public_names(__name__, {".sqlalchemy": "SQLAlchemyStore"})
