"""Messages of alerts, and how each kind of receiver reads them."""

from __future__ import annotations

import html
import typing as t

from pydantic import BaseModel

from nextmq_handler.protocol import strict_json

from .rules import Channel

MAX_QUEUES = 20
"""How many queues one message names."""

Event = t.Literal["firing", "resolved", "test"]


class AlertMessage(BaseModel, extra="ignore", frozen=True):
    """What is told: the rule, what it found, and of which queues. `at` is ms since the epoch.

    One message tells of all queues for which a rule fires in one look; `count` is their number.
    """

    id: str
    at: int
    event: Event
    project: str
    rule: str
    when: str
    queues: list[str]
    count: int
    texts: list[str]

    @property
    def subject(self) -> str:
        """The message in one line."""
        return f"[{self.event}] {self.rule}: {self.texts[0] if self.texts else self.when}"

    @property
    def text(self) -> str:
        """The message for people."""
        more = [f"and {self.count - len(self.queues)} more queues"] if self.count > len(self.queues) else []
        return "\n".join([f"[{self.event}] {self.rule} (project {self.project})", *self.texts, *more])

    def body(self, style: t.Literal["json", "slack", "discord"]) -> bytes:
        """Return the body of a webhook."""
        match style:
            case "slack":
                return strict_json.utf8({"text": html.escape(self.text, quote=False)})
            case "discord":  # nobody is mentioned, whatever a queue is called
                return strict_json.utf8({"content": self.text[:2000], "allowed_mentions": {"parse": []}})
            case "json":
                shown = self.model_dump(exclude={"id", "event"})
                return strict_json.utf8({"type": f"alert.{self.event}", **shown})


class QueuedMessage(BaseModel, extra="ignore", frozen=True):
    """A message on its way to one channel. `tries` is how often that has failed."""

    message: AlertMessage
    channel: Channel
    tries: int = 0
