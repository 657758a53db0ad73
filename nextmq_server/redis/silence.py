"""Silence: a Redis that owes an answer for too long is left, whether it hangs or the network drops all."""

from __future__ import annotations

import asyncio
import contextlib
import typing as t

from .resp import Protocol

LOOK_INTERVAL = 0.5
"""How often (s) to look whether Redis has answered, and to ask a connection without traffic for a sign of life."""

SILENCE_LIMIT = 3.5
"""How long (s) an answer may be due. With the two looks before and after it, a silent Redis is left within 5 s."""

DOUBT_AFTER = 1.0
"""After this silence (s) another server may have become the primary meanwhile."""


async def watch(
    protocol: Protocol,
    *,
    blocks: float = 0.0,
    on_silence: t.Callable[[float], None],
    on_doubt: t.Callable[[], None],
) -> None:
    """Return once the connection is lost. Call `on_silence` with how long (s) Redis has not
    answered, if that is too long: it ends the connection.

    Call `on_doubt` when Redis answers after a silence, and when this process itself stood still: then nobody has
    looked meanwhile, and an answer may have come. Commands that block do so for `blocks` s at most.
    """
    clock = asyncio.get_running_loop().time
    heard_at = looked_at = clock()
    while not protocol.lost.is_set():
        if not protocol.is_owed:
            protocol.ping()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOOK_INTERVAL):
                await protocol.lost.wait()
        now = clock()
        stood_still = now - looked_at > LOOK_INTERVAL + DOUBT_AFTER
        looked_at = now
        if protocol.was_heard or stood_still:
            if stood_still or now - heard_at > LOOK_INTERVAL + DOUBT_AFTER + blocks:
                on_doubt()
            protocol.was_heard, heard_at = False, now
        elif now - heard_at >= SILENCE_LIMIT + blocks:
            on_silence(now - heard_at)
            return
