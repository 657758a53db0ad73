"""A mailing list in a Lambda function: three processors behind one function URL.

NEXTMQ_URL, NEXTMQ_APP_URL (the function URL) and MAIL_URL are environment variables of the function.
"""

from __future__ import annotations

import asyncio
import os
import time
from string import Template
from typing import Any

import httpx

from nextmq_adapters.aws_lambda import lambda_handler
from nextmq_handler import AsyncJob, Job, Worker

MAIL_URL = os.environ.get("MAIL_URL", "http://127.0.0.1:8025")

LETTER = Template("Dear $name,\nyour $product is on its way.\n")

letters = Worker("letters")
# Short, so that the demo shows an import that takes several deliveries.
subscribers = Worker("subscribers", timeout=3)


@letters.processor("render")
def render(job: Job[dict[str, Any]]) -> str:
    """Write a letter."""
    return LETTER.substitute(job.data)


@letters.processor("send")
async def send(job: AsyncJob[dict[str, Any]]) -> dict[str, int]:
    """Send a letter to all who get it, side by side."""
    async with httpx.AsyncClient(base_url=MAIL_URL) as mail:

        async def send_to(address: str) -> None:
            # The job's id is the same in every attempt: nobody gets the letter twice.
            key = {"idempotency-key": f"{job.id}-{address}"}
            message = {"to": address, "text": job.data["text"]}
            (await mail.post("/messages", json=message, headers=key)).raise_for_status()

        await asyncio.gather(*map(send_to, job.data["to"]))
    return {"sent": len(job.data["to"])}


@subscribers.processor("import")
def import_list(job: Job[dict[str, Any]]) -> dict[str, int]:
    """Store a list that is too long for one delivery: the next one goes on at the job's progress."""
    addresses = job.data["addresses"]
    with httpx.Client(base_url=MAIL_URL) as mail:
        for place in range(job.progress, len(addresses)):
            if job.time_left() < 1:
                job.update_progress(place)
                job.move_to_delayed(round(time.time() * 1000))
            mail.put(f"/subscribers/{addresses[place]}").raise_for_status()
    job.update_progress(len(addresses))
    return {"imported": len(addresses)}


handler = lambda_handler(workers=[letters, subscribers])
