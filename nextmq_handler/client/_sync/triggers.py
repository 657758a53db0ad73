# Generated from _async by scripts/generate_sync.py: change that, then run `make format`.
"""Triggers: requests that the server sends to any URL by a schedule."""

from __future__ import annotations

import typing as t
from datetime import timedelta

from ...protocol.arguments import timeout_seconds
from ...rules.options import Backoff, Repeat, job_options, to_wire
from .._http.answer import done, listed, member
from ..views import Trigger, TriggerRun
from .resource import Resource


class Triggers(Resource):
    """The triggers of the server that NEXTMQ_URL, or `url`, names. Constructing it sends nothing.

    A call and its retries take at most `timeout`, s or a timedelta. Every call raises what the calls of a queue
    raise, and NotFoundError for an unknown id.
    """

    _path = ("triggers",)

    def create(
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
        """Let the server send `payload`, any JSON, to `url` at each time of `repeat`.

        `repeat` has `every`, or `pattern` with `tz`; `backoff` is as for jobs; `timeout`, s or a timedelta, is for
        one attempt. The result has the `secret` that signs the requests: the server tells it only now.
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
        return self._ask("POST", reader=Trigger, content=content)

    def all(self) -> list[Trigger]:
        """List all triggers."""
        return self._ask("GET", reader=listed("triggers", Trigger))

    def get(self, trigger_id: str) -> Trigger | None:
        """Return a trigger, None if it does not exist."""
        return self._find("GET", trigger_id, reader=Trigger)

    def runs(self, trigger_id: str) -> list[TriggerRun]:
        """List the last 50 requests of a trigger, the latest first. Raises NotFoundError."""
        return self._ask("GET", trigger_id, "runs", reader=member("runs", list[TriggerRun]))

    def pause(self, trigger_id: str) -> None:
        """Stop sending requests."""
        self._do("POST", trigger_id, "pause", is_repeatable=True)

    def resume(self, trigger_id: str) -> None:
        """Send requests again."""
        self._do("POST", trigger_id, "resume", is_repeatable=True)

    def fire(self, trigger_id: str) -> None:
        """Send a request now; the schedule goes on as before."""
        self._do("POST", trigger_id, "fire")

    def delete(self, trigger_id: str) -> bool:
        """Remove a trigger. Return whether it existed."""
        return bool(self._find("DELETE", trigger_id, reader=done))

    def rotate_secret(self, trigger_id: str) -> str:
        """Create the secret that signs the requests from now on, and return it: the server tells it only now."""
        return self._ask("POST", trigger_id, "rotate-secret", reader=member("secret", str))
