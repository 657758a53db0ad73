"""What the client looks up at each use, so that tests can put others in place: clocks, chance, the server."""

from __future__ import annotations

import asyncio
import random
import secrets
import time
import typing as t

if t.TYPE_CHECKING:
    from ..settings import Connection

monotonic = time.monotonic
wall_clock = time.time
uniform = random.uniform
sleep = time.sleep
async_sleep = asyncio.sleep

connection: Connection | None = None
"""The server of every producer, whichever it was made for; None outside tests."""


def new_key() -> str:
    """An idempotency key that nobody has used."""
    return secrets.token_urlsafe(18)
