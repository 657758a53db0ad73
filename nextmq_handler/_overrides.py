"""What tests put in the place of the real thing: clocks, chance, pauses and the server.

Everybody reads these names at each use (`_overrides.sleep(…)`), never at import.
"""

from __future__ import annotations

import time
import typing as t
from contextvars import ContextVar


class ServerStandIn(t.Protocol):
    """Answer the SDK's calls in this process: each answer is a status and its content."""

    def answer(self, method: str, url: str, headers: t.Mapping[str, str], body: bytes | None) -> tuple[int, bytes]:
        """Answer a blocking call."""
        ...

    async def async_answer(
        self, method: str, url: str, headers: t.Mapping[str, str], body: bytes | None
    ) -> tuple[int, bytes]:
        """Answer an awaited call."""
        ...


server: ServerStandIn | None = None
"""Answers every call of this process, from any thread, while a LocalNextMQ is in force."""

url: str | None = None
"""The connection string of every producer, whatever its own says."""

registration_paused: ContextVar[bool] = ContextVar("nextmq_registration_paused", default=False)
"""Set while a test delivers to a handler: the handler then registers with no server."""


def monotonic() -> float:
    """Return the time in s since some moment, on a clock that nobody sets."""
    return time.monotonic()


def wall_clock() -> float:
    """Return the time in s since the epoch."""
    return time.time()


def sleep(seconds: float) -> None:
    """Pause this thread."""
    time.sleep(seconds)


async def async_sleep(seconds: float) -> None:
    """Pause the running task."""
    import asyncio  # a Lambda function without `async def` processors never loads it

    await asyncio.sleep(seconds)


def uniform(low: float, high: float) -> float:
    """Return a random number between `low` and `high`."""
    import random

    return random.uniform(low, high)  # noqa: S311 - it spreads retries


def new_key() -> str:
    """Return an unused idempotency key."""
    import secrets

    return secrets.token_urlsafe(18)
