"""How late the event loop is: what keeps it busy delays every delivery and every answer."""

from __future__ import annotations

import asyncio

INTERVAL = 0.25
"""How often, in s, the loop's lateness is measured."""

WINDOW = 60
"""Over how many measurements, which are INTERVAL s apart, the worst one is shown."""


class LoopLag:
    """Measures the loop that runs `watch`."""

    def __init__(self) -> None:
        self._measured: list[float] = []

    @property
    def worst(self) -> float:
        """The most, in s, that the loop was late in the window."""
        return max(self._measured, default=0.0)

    async def watch(self) -> None:
        """Measure until this is cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + INTERVAL
            await asyncio.sleep(INTERVAL)
            self._measured = [*self._measured[1 - WINDOW :], max(0.0, loop.time() - due)]
