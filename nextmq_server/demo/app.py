"""The app of the demo: real workers in two real handlers, one of which goes away."""

from __future__ import annotations

import asyncio
import typing as t
from datetime import timedelta

from nextmq_handler import AsyncJob, UnrecoverableJobError, Worker

LONG = timedelta(minutes=10)
"""How long a job may run that stays active while the demo is looked at."""


async def _work(job: AsyncJob[t.Any]) -> dict[str, t.Any]:
    """Take as many ms as the data says."""
    await asyncio.sleep(job.data.get("ms", 5) / 1000)
    return {"ok": True}


def _until(end: asyncio.Event) -> t.Callable[[AsyncJob[t.Any]], t.Coroutine[t.Any, t.Any, None]]:
    async def keep_on(job: AsyncJob[t.Any]) -> None:  # noqa: ARG001 - what processors take
        await end.wait()

    return keep_on


def _emails() -> Worker:
    emails = Worker("emails", _work, concurrency=20, dead_letter=True)

    @emails.processor("welcome")
    async def welcome(job: AsyncJob[t.Any]) -> dict[str, t.Any]:
        await _work(job)
        if str(job.data["to"]).startswith("bad"):
            raise ValueError(f"no such address: {job.data['to']}")
        return {"sent": job.data["to"]}

    @emails.processor("newsletter")
    async def newsletter(job: AsyncJob[t.Any]) -> dict[str, t.Any]:
        await _work(job)
        if job.data.get("unsubscribed"):
            raise UnrecoverableJobError("unsubscribed")
        return {"sent": job.data["to"]}

    return emails


def _orders(end: asyncio.Event) -> Worker:
    orders = Worker("orders", _work, concurrency=10, timeout=LONG)

    @orders.processor("charge")
    async def charge(job: AsyncJob[t.Any]) -> dict[str, t.Any]:
        await _work(job)
        if job.data.get("declined"):
            raise ConnectionError("payment provider: 502 Bad Gateway")
        return {"charged": job.data["amount"]}

    orders.processor("fulfil")(_until(end))
    return orders


def _reports(end: asyncio.Event) -> Worker:
    reports = Worker("reports", _work, concurrency=2, timeout=LONG)
    reports.processor("yearly")(_until(end))
    reports.every(timedelta(minutes=15), id="usage", name="usage")(_work_named)
    return reports


async def _work_named(job: AsyncJob[t.Any]) -> dict[str, t.Any]:
    return await _work(job)


def _invoices() -> Worker:
    invoices = Worker("invoices", _work)
    invoices.cron("0 3 * * *", tz="Europe/Berlin", id="nightly", name="nightly")(_work_named)
    invoices.cron("0 8 * * 1-5", id="reminders", name="reminders")(_work_named)
    return invoices


def workers(end: asyncio.Event) -> list[Worker]:
    """Return the workers of the app that stays. Some of its jobs run until `end`."""
    return [
        _emails(),
        _orders(end),
        _reports(end),
        _invoices(),
        Worker("payouts", _work),
        Worker("billing-sync", _work, limiter={"max": 3, "duration": timedelta(minutes=1)}),
        Worker("contacts", _work, concurrency=5),
        Worker("image-resize", _work, concurrency=4),
        Worker("push", _work, concurrency=10),
        Worker("search-index", _work, concurrency=8),
        Worker("sms", _work, concurrency=2),
        Worker("exports", _work),
        Worker("audit-trail", _work),
    ]


def workers_that_leave() -> list[Worker]:
    """Return the workers of the app that goes away, so that its queue is held."""
    return [Worker("webhooks-out", _work, concurrency=5)]
