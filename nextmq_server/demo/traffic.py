"""The jobs of the demo, the same for each seed."""

from __future__ import annotations

import random
import typing as t

from nextmq_handler.rules.flows import FlowNode

from ..engine.queues.adding import JobToAdd
from ..service import Service
from ..timers import now_ms

UNSUBSCRIBED, BAD_ADDRESSES, DECLINED = 62, 17, 10
SENT = 101
FIRST_EMAIL = 6063
"""The ids of the e-mails begin after this one."""

WAITING = {"thumbnails": 35, "Emails": 7, "payouts": 24, "webhooks-out": 60, "billing-sync": 15, "reports": 2}
"""How many jobs are added to the queues in which jobs wait."""

LATER = {"orders": 120, "invoices": 31, "reports": 43, "sms": 5}
"""How many delayed jobs there are."""

DONE = {
    "search-index": 40,
    "push": 24,
    "image-resize": 12,
    "contacts": 7,
    "sms": 9,
    "exports": 3,
    "webhooks-out": 20,
}
"""How many jobs complete at the start."""

_HOUR = 3_600_000
_LANGUAGES = ("de", "en", "fr", "ja")


class Traffic:
    """Makes jobs. Everything that looks random comes from `seed`."""

    def __init__(self, service: Service, *, seed: int) -> None:
        self._service = service
        self._random = random.Random(seed)  # noqa: S311 - a demo's data

    def emails(self) -> list[JobToAdd]:
        """Return e-mails, most of which fail for one of two reasons."""
        letters = [self._newsletter(number, unsubscribed=True) for number in range(UNSUBSCRIBED)]
        letters += [self._newsletter(number, unsubscribed=False) for number in range(UNSUBSCRIBED, SENT)]
        letters += [self._welcome(f"bad{number + 100}@example.com") for number in range(BAD_ADDRESSES - 1)]
        self._random.shuffle(letters)
        return [*letters, self._welcome("bad180@example.com")]

    def orders(self) -> list[JobToAdd]:
        """Return orders: declined ones, and one that goes on and on."""
        declined = [
            self._job(
                "orders",
                "charge",
                {"order": 60 + number, "amount": self._amount(), "card": "4111111111111111", "declined": True},
                {"attempts": 5},
            )
            for number in range(DECLINED)
        ]
        return [*declined, self._job("orders", "fulfil", {"order": 81})]

    def reports(self) -> list[JobToAdd]:
        """Return reports that take as long as the demo."""
        return [self._job("reports", "yearly", {"year": year}) for year in (2024, 2025)]

    def waiting(self, queue: str) -> list[JobToAdd]:
        """Return jobs for a queue in which they stay."""
        return [self._job(queue, self._name(queue), self._data()) for _ in range(WAITING[queue])]

    def done(self) -> list[JobToAdd]:
        """Return jobs that complete at once."""
        return [
            self._job(queue, self._name(queue), self._data())
            for queue, number in DONE.items()
            for _ in range(number)
        ]

    def later(self) -> list[JobToAdd]:
        """Return jobs that are due within the next days."""
        return [
            self._job(queue, "remind", self._data(), {"delay": self._random.randrange(_HOUR, 72 * _HOUR)})
            for queue, number in LATER.items()
            for _ in range(number)
        ]

    def flow(self) -> FlowNode:
        """Return an order whose label waits for a queue without a worker."""
        sync = FlowNode("sync", "contacts", self._data(), {})
        welcome = FlowNode("welcome", "emails", {"to": "ada@example.com", "password": "analytical", "ms": 9}, {})
        onboard = FlowNode("onboard", "contacts", {"customer": 12}, {}, [sync, welcome])
        charge = FlowNode("charge", "orders", {"order": 77, "amount": "49.90"}, {})
        label = FlowNode("label", "thumbnails", {"order": 77}, {})
        return FlowNode("order-placed", "orders", {"order": 77}, {}, [charge, label, onboard])

    def some(self) -> list[JobToAdd]:
        """Return a few jobs, as they come in while the demo is looked at."""
        queues = self._random.choices(("search-index", "push", "image-resize", "emails"), (12, 4, 1, 2), k=4)
        return [
            self._newsletter(self._random.randrange(900), unsubscribed=False)
            if queue == "emails"
            else self._job(queue, self._name(queue), self._data())
            for queue in queues
        ]

    def _welcome(self, to: str) -> JobToAdd:
        data = {"to": to, "password": "hunter2", "locale": self._random.choice(_LANGUAGES), "ms": self._ms()}
        backoff = {"type": "exponential", "delay": 200}
        return self._job("emails", "welcome", data, {"attempts": 3, "backoff": backoff})

    def _newsletter(self, number: int, *, unsubscribed: bool) -> JobToAdd:
        data = {"to": f"user{number}@example.com", "issue": 41, "token": f"t-{number:06}", "ms": self._ms()}
        if unsubscribed:
            data["unsubscribed"] = True
        return self._job("emails", "newsletter", data, {"attempts": 3})

    def _job(self, queue: str, name: str, data: object, opts: dict[str, t.Any] | None = None) -> JobToAdd:
        return self._service.jobs.new(queue, name, data, opts or {}, now=now_ms())

    def _data(self) -> dict[str, t.Any]:
        return {"customer": self._random.randrange(1, 500), "ms": self._ms()}

    def _ms(self) -> int:
        return self._random.randrange(4, 40)

    def _amount(self) -> str:
        return f"{self._random.randrange(1000, 25_000) / 100:.2f}"

    def _name(self, queue: str) -> str:
        return {"thumbnails": "render", "Emails": "welcome", "payouts": "pay", "push": "notify"}.get(queue, "run")
