"""Alert rules: what is judged, of which queues, and who is told."""

from __future__ import annotations

import fnmatch
import typing as t
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

MAX_RULES = 100
"""The most rules of a project."""

MAX_CHANNELS = 5
"""The most channels of a rule."""

MAX_RECIPIENTS = 10
"""The most recipients of one e-mail channel."""

_MINUTE = 60_000  # ms

When = t.Literal[
    "oldest_waiting",
    "held",
    "disabled",
    "no_worker",
    "paused",
    "dead_letters",
    "failed",
    "failed_percent",
    "schedule_overdue",
    "redis_memory",
]

TIMED = frozenset(("no_worker", "paused"))
"""What has no time of its own: it counts from when it was first seen."""

DURATIONS = frozenset(("oldest_waiting", "held", "no_worker", "paused", "schedule_overdue"))
"""What is judged by how long it lasts, in ms."""

IN_MINUTES = frozenset(("failed", "failed_percent"))
"""What is counted in the last `minutes`."""


class _Rule(BaseModel):
    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True, strict=True
    )


class LogChannel(_Rule):
    """Tell the log `nextmq_server.alerts`, at WARNING."""

    type: t.Literal["log"] = "log"


class WebhookChannel(_Rule):
    """Post to a URL. Only the format json is signed, as Standard Webhooks say."""

    type: t.Literal["webhook"]
    url: str = Field(max_length=2048, repr=False)
    format: t.Literal["json", "slack", "discord"] = "json"
    secret: str | None = Field(default=None, max_length=200, repr=False)

    @property
    def place(self) -> str:
        """Where it goes, without the part of the URL that may be a secret."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.hostname or ''}/…"


Recipient = t.Annotated[str, Field(max_length=254, pattern=r"^[^\s@<>,;\x00-\x1f\x7f]+@[^\s@<>,;\x00-\x1f\x7f]+$")]


class EmailChannel(_Rule):
    """Send an e-mail through the relay of NEXTMQ_SMTP_URL."""

    type: t.Literal["email"]
    to: list[Recipient] = Field(min_length=1, max_length=MAX_RECIPIENTS)


Channel = t.Annotated[LogChannel | WebhookChannel | EmailChannel, Field(discriminator="type")]


def _to_log() -> list[Channel]:
    return [LogChannel()]


class AlertRule(_Rule):
    """Fire when a reading of a queue is above `over`.

    That is ms for what lasts, a number of jobs for `failed` and `dead_letters`, else percent. `failed` and
    `failed_percent` count the last `minutes`, the latter if at least `at_least` jobs ended. `queues` is a pattern
    with `*`. What still lasts is told again each `repeat` ms, if that is given.
    """

    when: When
    over: int = Field(default=0, ge=0, le=10**12)
    minutes: int = Field(default=5, ge=1, le=60)
    at_least: int = Field(default=1, ge=1, le=10**9)
    queues: str = Field(default="*", min_length=1, max_length=100)
    repeat: int | None = Field(default=4 * 60 * _MINUTE, ge=_MINUTE, le=10**12)
    channels: list[Channel] = Field(default_factory=_to_log, min_length=1, max_length=MAX_CHANNELS)
    is_enabled: bool = True

    def covers(self, queue: str) -> bool:
        """Return whether the rule is about this queue."""
        return fnmatch.fnmatchcase(queue, self.queues)


DEFAULTS = {
    "waiting-too-long": AlertRule(when="oldest_waiting", over=10 * _MINUTE),
    "held": AlertRule(when="held", over=5 * _MINUTE),
    "no-worker": AlertRule(when="no_worker", over=5 * _MINUTE),
    "redis-memory": AlertRule(when="redis_memory", over=90),
}
"""The rules of a project from its first start."""
