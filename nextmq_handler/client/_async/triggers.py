"""Triggers: requests that the server sends by a schedule, to any URL."""

from __future__ import annotations

import typing as t
from datetime import timedelta

from ...errors import NotFoundError
from ...protocol.times import timeout_seconds
from ...rules.options import Backoff, Repeat, job_options, to_wire
from .._http.answer import R, ignored, listed, member
from .._http.call import Options
from ..remote import Remote
from ..views import Trigger, TriggerRun
from .transport import AsyncTransport


class AsyncTriggers:
    """The triggers of a server. The calls raise what those of a queue do, NotFoundError for an unknown id."""

    def __init__(self, remote: Remote) -> None:
        self._remote = remote

    async def create(
        self,
        url: str,
        payload: t.Any = None,
        *,
        repeat: Repeat,
        name: str | None = None,
        attempts: int = 1,
        backoff: int | timedelta | Backoff | None = None,
        timeout: float | timedelta | None = None,
    ) -> Trigger:
        """Let the server send `payload`, any JSON, to `url` each time that `repeat` says.

        `repeat` has `every`, or `pattern` with `tz`; `backoff` is as for jobs; `timeout`, s or a timedelta, is for
        one attempt. The answer has the `secret` that signs the requests: it is told once.
        """
        content = {
            "url": url,
            "payload": payload,
            "repeat": to_wire(Repeat, repeat, kind="member of repeat"),
            "attempts": attempts,
        }
        if name is not None:
            content["name"] = name
        if backoff is not None:
            content |= job_options({"backoff": backoff})
        if timeout is not None:
            content["timeout"] = round(timeout_seconds("timeout", timeout) * 1000)
        return await self._ask("POST", reader=Trigger, content=content)

    async def all(self) -> list[Trigger]:
        """All triggers."""
        return await self._ask("GET", reader=listed("triggers", Trigger))

    async def get(self, trigger_id: str) -> Trigger | None:
        """A trigger, None where there is none."""
        try:
            return await self._ask("GET", trigger_id, reader=Trigger)
        except NotFoundError:
            return None

    async def runs(self, trigger_id: str) -> list[TriggerRun]:
        """The last 50 requests of a trigger, the latest first. Raises NotFoundError where there is no such one."""
        return await self._ask("GET", trigger_id, "runs", reader=listed("runs", _run))

    async def pause(self, trigger_id: str) -> None:
        """Send no more requests."""
        await self._ask("POST", trigger_id, "pause", reader=ignored, is_repeatable=True)

    async def resume(self, trigger_id: str) -> None:
        """Send requests again."""
        await self._ask("POST", trigger_id, "resume", reader=ignored, is_repeatable=True)

    async def fire(self, trigger_id: str) -> None:
        """Send a request now, beside the schedule."""
        await self._ask("POST", trigger_id, "fire", reader=ignored)

    async def delete(self, trigger_id: str) -> bool:
        """Remove a trigger. Returns whether it was there."""
        try:
            await self._ask("DELETE", trigger_id, reader=ignored)
        except NotFoundError:
            return False
        return True

    async def rotate_secret(self, trigger_id: str) -> str:
        """Let another secret sign the requests. Returns it: it is told once."""
        return await self._ask("POST", trigger_id, "rotate-secret", reader=member("secret", str))

    async def _ask(
        self, method: str, *path: str, reader: t.Callable[[t.Any], R], **options: t.Unpack[Options]
    ) -> R:
        transport = AsyncTransport(self._remote.connection, timeout=self._remote.timeout)
        return await transport.request(method, ("v1", "triggers", *path), reader, **options)


def _run(view: TriggerRun) -> TriggerRun:
    return view
