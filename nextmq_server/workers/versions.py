"""The versions of an app that registered for a queue: which of them is the one deployed last (section 4)."""

from __future__ import annotations

import typing as t

from pydantic import BaseModel, Field

from .registration import Registration

MAX_SEEN = 20
"""How many versions of a worker are remembered. One that was forgotten counts as new."""

SILENCE = 300_000
"""After so many ms without the current version, an older one that is heard takes over: a rollback."""

TIMES_ALONE = 5
"""So often the older version must be heard meanwhile: an old instance that starts late rolls nothing back."""

APART = 50_000
"""Only what is so many ms apart counts as heard more than once: an app asks once a minute."""

HEARD_INTERVAL = 30.0
"""At most this often, in s, a process records that a version answers deliveries."""

WARNING_INTERVAL = 300_000
"""At most once in so many ms a takeover of a queue is a warning."""

Decision = t.Literal["taken", "kept", "older"]
"""What a registration does: it becomes the one held; it refreshes the one held; it changes nothing."""


class Heard(BaseModel):
    """When a version was heard last, how often since the current one was, and when it was last counted.

    Times are ms since the epoch.
    """

    last: int
    alone: int
    counted: int


class Versions(BaseModel):
    """What the server remembers of one worker's versions, by their fingerprints.

    `warned` is when a takeover was last a warning. Times are ms since the epoch, on the clock of Redis.
    """

    heard: dict[str, Heard] = Field(default_factory=dict[str, Heard])
    warned: int = 0

    def decide(
        self, held: Registration | None, new: Registration, now: int, *, claimed: bool, newest_wins: bool
    ) -> Decision:
        """Record that the version of `new` is heard, and return what it does to the registration `held`.

        `claimed` is a deploy step. With `newest_wins` the process that started last is the one, of any version.
        """
        is_known = new.fingerprint in self.heard
        self.hear(new.fingerprint, new.fingerprint if held is None else held.fingerprint, now)
        if held is None or claimed:
            return "taken"
        started_later = not new.started_at or new.started_at >= held.started_at
        if new.fingerprint == held.fingerprint:
            return "taken" if started_later else "kept"
        if newest_wins:
            return "taken" if started_later else "older"
        return (
            "older" if is_known and not self._is_rolled_back(held.fingerprint, new.fingerprint, now) else "taken"
        )

    def hear(self, fingerprint: str, current: str, now: int) -> None:
        """Record that the version `fingerprint` is heard, beside the `current` one."""
        before, rival = self.heard.get(fingerprint), self.heard.get(current)
        if before is None or (rival is not None and before.last <= rival.last):
            self.heard[fingerprint] = Heard(last=now, alone=1, counted=now)
        elif now - before.counted >= APART:
            self.heard[fingerprint] = Heard(last=now, alone=before.alone + 1, counted=now)
        else:
            self.heard[fingerprint] = Heard(last=now, alone=before.alone, counted=before.counted)
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
        """Return whether the `older` version is heard again and again, and the `current` one not for SILENCE."""
        rival, heard = self.heard.get(current), self.heard[older]
        return rival is not None and now - rival.last >= SILENCE and heard.alone >= TIMES_ALONE
