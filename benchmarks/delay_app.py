"""The app of benchmarks/delay.py: its processor returns the time of its start."""

from __future__ import annotations

import time
import typing as t

from nextmq_handler import AsyncJob, Worker, create_nextmq_handler

delay = Worker("delay", concurrency=50)


@delay.processor
async def note(job: AsyncJob[t.Any]) -> float:
    return time.time() * 1000


app = create_nextmq_handler(workers=[delay])
