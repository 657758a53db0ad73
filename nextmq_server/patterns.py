"""Check cron patterns beside the event loop: finding that a pattern never comes takes long."""

from __future__ import annotations

import asyncio
import functools
import typing as t
from concurrent.futures import ThreadPoolExecutor

from nextmq_handler.rules.cron import first_problem
from nextmq_handler.rules.refusals import invalid
from nextmq_handler.rules.schedules import When

from .shares import Shares
from .timers import now_ms


@functools.cache
def _checker() -> ThreadPoolExecutor:
    # One thread: more would only take the interpreter's lock from the loop more often.
    return ThreadPoolExecutor(1, thread_name_prefix="nextmq-patterns")


async def check_patterns(shares: Shares, times: t.Mapping[str, When]) -> None:
    """Raise Refusal for the first of `times`, by path in the request, whose pattern or zone cannot work."""
    patterns = {path: (when.pattern, when.tz) for path, when in times.items() if when.pattern is not None}
    if not patterns:
        return
    async with shares.checks:
        problem = await asyncio.get_running_loop().run_in_executor(_checker(), first_problem, patterns, now_ms())
    if problem is not None:
        raise invalid(*problem)
