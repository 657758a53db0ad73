"""A sign-up app: it answers at once, the work happens in the background.

nextmq dev -- uvicorn examples.fastapi.app:app
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from fastapi import FastAPI, Request
from pydantic import BaseModel

from nextmq_handler import AsyncQueue, AsyncQueueJob, create_nextmq_handler

from .jobs import workers

nextmq = create_nextmq_handler(workers=workers)
app = FastAPI(lifespan=nextmq.lifespan)
app.mount("/api/nextmq", nextmq)

uploads = Path(os.environ.get("UPLOADS", tempfile.gettempdir()))


class SignUp(BaseModel):
    """Who signs up."""

    name: str
    email: str


class Newsletter(BaseModel):
    """Who gets a newsletter, and when at the earliest (ms since the epoch)."""

    email: str
    not_before: int


class Accepted(BaseModel):
    """The job that does the rest."""

    queue: str
    job_id: str


@app.post("/signup", status_code=202)
async def sign_up(who: SignUp) -> list[Accepted]:
    """Welcome somebody, and tell the CRM."""
    mail = await AsyncQueue("emails").add("welcome", who.model_dump(), attempts=3)
    contact = await AsyncQueue("contacts").add(
        "sync", {"email": who.email}, attempts=5, backoff={"type": "exponential", "delay": 200}
    )
    return [accepted(mail), accepted(contact)]


@app.post("/newsletter", status_code=202)
async def send_newsletter(newsletter: Newsletter) -> Accepted:
    """Send a newsletter when its time has come."""
    return accepted(await AsyncQueue("emails").add("newsletter", newsletter.model_dump()))


@app.put("/pictures/{name}", status_code=202)
async def upload_picture(name: str, request: Request) -> Accepted:
    """Keep a picture and make a thumbnail of it."""
    path = uploads / Path(name).name
    path.write_bytes(await request.body())
    return accepted(await AsyncQueue("pictures").add("thumbnail", {"path": str(path)}, attempts=3))


def accepted(job: AsyncQueueJob) -> Accepted:
    """Return what the caller learns of a job."""
    return Accepted(queue=job.queue_name, job_id=job.id)
