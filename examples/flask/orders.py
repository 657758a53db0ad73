"""The shop's orders, read as if they were in a database that is far away."""

from __future__ import annotations

import csv
import time
import typing as t
from decimal import Decimal
from pathlib import Path

YEARS = (2024, 2025)

QUERY_TIME = 0.2

_FILE = Path(__file__).with_name("orders.csv")


class Order(t.NamedTuple):
    """What somebody paid."""

    currency: str
    amount: Decimal


def orders_of(year: int, month: int) -> list[Order]:
    """Return a month's orders. Takes `QUERY_TIME` s."""
    time.sleep(QUERY_TIME)
    with _FILE.open(newline="") as file:
        return [
            Order(row["currency"], Decimal(row["amount"]))
            for row in csv.DictReader(file)
            if row["date"].startswith(f"{year}-{month:02}-")
        ]
