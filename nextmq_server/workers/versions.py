"""The versions of an app that registered for a queue: which of them is the one deployed last (section 4)."""

from __future__ import annotations

import typing as t

from pydantic import BaseModel, Field

from .registration import Registration

MAX_SEEN = 20
"""How many versions of a worker are remembered. One that was forgotten counts as new."""

SILENCE = 300_000
"""After so many ms without the current version, an older one that is heard takes over: a rollback."""

ASKING_INTERVAL = 60_000
"""An app whose version is not the current one asks at most once in so many ms."""

HEARD_INTERVAL = 30.0
"""At most this often, in s, a process records that a version answers deliveries."""

WARNING_INTERVAL = 300_000
"""At most once in so many ms a takeover of a queue is a warning."""

Decision = t.Literal["taken", "kept", "older"]
"""What a registration does: it becomes the one held; it refreshes the one held; it changes nothing."""


class Heard(BaseModel):
    """When a version was heard: last, and first since the current one was. Both are ms since the epoch."""

    last: int
    since: int


class Versions(BaseModel):
    """What the server remembers of one worker's versions, by their fingerprints.

    `warned` is when a takeover was last a warning. Times are ms since the epoch, on the clock of Redis.
    """

    heard: dict[str, Heard] = Field(default_factory=dict[str, Heard])
    warned: int = 0

    def decide(
        self, held: Registration | None, new: Registration, now: int, *, claimed: bool, newest_wins: bool
    ) -> Decision:
        """Return what `new` does to the registration `held`.

        `claimed` is a deploy step. With `newest_wins` the process that started last is the one, of any version.
        """
        if held is None or claimed:
            return "taken"
        started_later = not new.started_at or new.started_at >= held.started_at
        if new.fingerprint == held.fingerprint:
            return "taken" if started_later else "kept"
        if newest_wins:
            return "taken" if started_later else "older"
        if new.fingerprint not in self.heard or self._is_rolled_back(held.fingerprint, new.fingerprint, now):
            return "taken"
        return "older"

    def hear(self, fingerprint: str, current: str, now: int) -> None:
        """Record that the version `fingerprint` is heard, beside the `current` one."""
        before, rival = self.heard.get(fingerprint), self.heard.get(current)
        since = before.since if before is not None and (rival is None or before.since > rival.last) else now
        self.heard[fingerprint] = Heard(last=now, since=since)
        others = sorted(self.heard.keys() - {current, fingerprint}, key=lambda each: self.heard[each].last)
        for forgotten in others[: max(0, len(self.heard) - MAX_SEEN)]:
            del self.heard[forgotten]

    def warns_of(self, before: Registration | None, after: Registration, now: int) -> bool:
        """Return whether this is a takeover that is worth a warning, and record the warning."""
        if before is None or before.fingerprint == after.fingerprint or now - self.warned < WARNING_INTERVAL:
            return False
        self.warned = now
        return True

    def _is_rolled_back(self, current: str, older: str, now: int) -> bool:
        """Return whether for SILENCE the `older` version was heard, and the `current` one was not.

        The older one need not be heard at once: it asks once in ASKING_INTERVAL.
        """
        rival, heard = self.heard.get(current), self.heard[older]
        return (
            rival is not None
            and now - rival.last >= SILENCE
            and heard.since > rival.last
            and now - heard.since >= SILENCE - ASKING_INTERVAL
        )
