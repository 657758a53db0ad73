"""Background tasks of the server."""

from __future__ import annotations

import asyncio
import typing as t


async def end_tasks(*tasks: asyncio.Task[t.Any] | None) -> None:
    """Cancel the tasks and wait until they have ended. None stands for a task that was not started."""
    started = [task for task in tasks if task is not None]
    for task in started:
        task.cancel()
    if started:
        await asyncio.wait(started)
