"""Clocks, chance and pauses: the client looks them up here at each use, so that tests can put others in place."""

from __future__ import annotations

import asyncio
import random
import secrets
import time

monotonic = time.monotonic
wall_clock = time.time
uniform = random.uniform
sleep = time.sleep
async_sleep = asyncio.sleep


def new_key() -> str:
    """An idempotency key that nobody has used."""
    return secrets.token_urlsafe(18)
