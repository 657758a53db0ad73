"""The job that a producer gets back."""

from __future__ import annotations

import contextlib
import math
import typing as t
from datetime import timedelta

from ... import _overrides
from ...errors import JobFailedError, JobRemovedError, NextMQTimeoutError
from ...protocol.arguments import timeout_seconds
from ...rules.options import Duration, milliseconds
from .._http.answer import member
from .._http.call import ATTEMPT_TIMEOUT
from ..generics import Data, Result
from ..job_fields import UNCHANGED, JobFields
from ..views import FinishedState, JobLogs, JobState, WhyCause, causes, job_logs
from .job_calls import AsyncJobCalls

MAX_WAIT = 30.0
"""How long, in s, one request of `wait_until_finished` may stay open."""

DEFAULT_WAIT = 300.0
"""How long, in s, `wait_until_finished` waits by default."""

_MIN_PAUSE = 1.0


class AsyncQueueJob(JobFields[Data, Result], AsyncJobCalls):
    """A job as the server described it last, and the calls on it.

    Times are ms since the epoch, None until they happen; durations are ms. `opts` are as BullMQ spells them.
    `deliveries` are the last 20 that ended, the newest last, of `deliveries_count` in all. `lock` says who
    processes an active job, if the job was read alone. `deduplicated` says that no job was added, because this one
    has its id or holds its deduplication id.

    The calls raise JobRemovedError if the job does not exist, NextMQHTTPError (409 `wrong_state` if the job's
    state does not allow the call) and NextMQConnectionError.
    """

    async def refresh(self) -> None:
        """Read the job again."""
        await self._ask("GET", reader=self._read)

    async def get_state(self) -> JobState:
        """Read and return the job's state, `unknown` if the job does not exist."""
        try:
            await self.refresh()
        except JobRemovedError:
            self._update(state="unknown")
        return self.state

    async def why(self) -> list[WhyCause]:
        """Return all that keeps the job from running now, what must end first in front; [] if nothing does."""
        return await self._ask("GET", "why", reader=causes)

    async def is_completed(self) -> bool:
        """Whether the job has completed now."""
        return await self.get_state() == "completed"

    async def is_failed(self) -> bool:
        """Whether the job has failed now."""
        return await self.get_state() == "failed"

    async def is_delayed(self) -> bool:
        """Whether the job is delayed now."""
        return await self.get_state() == "delayed"

    async def is_active(self) -> bool:
        """Whether the job is being processed now."""
        return await self.get_state() == "active"

    async def is_waiting(self) -> bool:
        """Whether the job is waiting now."""
        return await self.get_state() == "waiting"

    async def is_waiting_children(self) -> bool:
        """Whether the job waits for its children now."""
        return await self.get_state() == "waiting-children"

    async def retry(
        self,
        state: FinishedState = "failed",
        *,
        reset_attempts_made: bool = False,
        reset_attempts_started: bool = False,
        data: Data = UNCHANGED,
    ) -> None:
        """Run the job again after it has finished in `state`, with new `data` if that is given."""
        content: dict[str, t.Any] = {
            "state": state,
            "resetAttemptsMade": reset_attempts_made,
            "resetAttemptsStarted": reset_attempts_started,
        }
        if data is not UNCHANGED:
            content["data"] = data
        await self._do("POST", "retry", content=content)
        self._wait_again()
        if data is not UNCHANGED:
            self._update(data=data)

    async def promote(self) -> None:
        """Let a delayed job run now."""
        await self._do("POST", "promote")
        self._update(delay=0)

    async def remove(self, *, remove_children: bool = True) -> None:
        """Remove the job, if it exists, and its children that have not finished.

        Raises NextMQHTTPError 409 `job_locked` if it, or a child, is being processed.
        """
        with contextlib.suppress(JobRemovedError):
            await self._do("DELETE", query={"removeChildren": remove_children})

    async def change_delay(self, delay: Duration) -> None:
        """Run a delayed job `delay`, ms or a timedelta, from now."""
        ms = milliseconds("change_delay", delay)
        await self._do("PUT", "delay", content={"delay": ms})
        self._update(delay=ms)

    async def change_priority(self, priority: int, *, lifo: bool = False) -> None:
        """Change the priority, 0 (none) to 2,097,152; `lifo` puts the job first among its equals."""
        await self._do("PUT", "priority", content={"priority": priority, "lifo": lifo})
        self.priority = priority

    async def get_logs(self, start: int = 0, end: int = -1, *, asc: bool = True) -> JobLogs:
        """Return rows `start` to `end` (included) of the job's log, at most 1000."""
        return await self._ask("GET", "logs", reader=job_logs, query={"start": start, "end": end, "asc": asc})

    async def remove_child_dependency(self) -> bool:
        """Stop the parent from waiting for this job. Return whether it waited."""
        return await self._ask("DELETE", "parent", reader=member("removed", bool))

    async def remove_deduplication_key(self) -> bool:
        """Release the deduplication id, if this job holds it. Return whether it did."""
        return await self._ask("DELETE", "deduplication-key", reader=member("removed", bool))

    async def wait_until_finished(self, timeout: float | timedelta | None = DEFAULT_WAIT) -> Result:
        """Wait until the job has completed, and return what its processor returned.

        `timeout` is s or a timedelta, 300 s by default, None for ever; a request in progress may take up to 10 s
        more.

        Raises JobFailedError, JobRemovedError if the job was removed without a trace, NextMQTimeoutError,
        DataError if the result does not fit the queue's type, NextMQHTTPError or NextMQConnectionError.
        """
        seconds = math.inf if timeout is None else timeout_seconds("timeout", timeout)
        end = _overrides.monotonic() + seconds
        while (left := end - (asked_at := _overrides.monotonic())) > 0:
            wait = min(MAX_WAIT, left)
            query = {"wait": round(wait * 1000)}
            timeout = min(ATTEMPT_TIMEOUT, self._remote.timeout) if left < MAX_WAIT else None
            await self._ask("GET", "result", reader=self._read_result, query=query, wait=wait, timeout=timeout)
            if self.state == "failed":
                raise JobFailedError(self.id, self.queue_name, self.failed_reason or "", self.stacktrace)
            if self.state == "completed":
                return t.cast(Result, self.return_value)
            # A server that is stopping answers early: do not ask again at once.
            early = wait - (_overrides.monotonic() - asked_at)
            if early > 0:
                await _overrides.async_sleep(min(_MIN_PAUSE, early))
        raise NextMQTimeoutError(
            f"job {self.id} of queue {self.queue_name} has not finished within {seconds} s: it is {self.state}"
        )
