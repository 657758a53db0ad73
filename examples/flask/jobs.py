"""The background work of the report app: one queue, a processor for each kind of report."""

from __future__ import annotations

import asyncio
import os
from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal
from itertools import chain

import httpx

from nextmq_handler import AsyncJob, Job, Worker

from .orders import orders_of

reports = Worker("reports", concurrency=2, timeout=60)

MONTHS = range(1, 13)


@dataclass(frozen=True)
class ReportRequest:
    """Which report."""

    year: int


@reports.processor("by-currency")
def by_currency(job: Job[ReportRequest]) -> dict[str, str]:
    """Add up what was paid in each currency, month by month. The progress is percent."""
    totals: defaultdict[str, Decimal] = defaultdict(Decimal)
    for month in MONTHS:
        for order in orders_of(job.data.year, month):
            totals[order.currency] += order.amount
        job.update_progress(100 * month // len(MONTHS))
    return {currency: f"{total:,.2f}" for currency, total in sorted(totals.items())}


@reports.processor("in-euros")
async def in_euros(job: AsyncJob[ReportRequest]) -> dict[str, str]:
    """Add up all that was paid. The months are read side by side, and so are the bank's rates."""
    months = await asyncio.gather(*(asyncio.to_thread(orders_of, job.data.year, month) for month in MONTHS))
    orders = list(chain.from_iterable(months))
    await job.update_progress(50)
    async with httpx.AsyncClient(base_url=os.environ.get("BANK_URL", "http://127.0.0.1:8026")) as bank:
        rates = dict(await asyncio.gather(*(rate(bank, currency) for currency in {o.currency for o in orders})))
    await job.update_progress(100)
    return {"EUR": f"{sum(order.amount * rates[order.currency] for order in orders):,.2f}"}


async def rate(bank: httpx.AsyncClient, currency: str) -> tuple[str, Decimal]:
    """Return a currency, and what one unit of it is worth in euros."""
    response = await bank.get(f"/rates/{currency}")
    return currency, Decimal(response.raise_for_status().json()["euros"])
