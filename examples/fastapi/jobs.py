"""The background work of the sign-up app: three queues and their processors."""

from __future__ import annotations

import os
import smtplib
import time
from email.message import EmailMessage
from email.utils import make_msgid
from pathlib import Path
from typing import Any

import httpx
from PIL import Image, UnidentifiedImageError
from pydantic import BaseModel

from nextmq_handler import AsyncJob, Job, RateLimitError, UnrecoverableJobError, Worker, idempotent
from nextmq_handler.idempotency import MemoryStore

emails = Worker("emails", concurrency=5)
pictures = Worker("pictures", concurrency=2, timeout=60)
contacts = Worker(
    "contacts",
    limiter={"max": 50, "duration": 1000},
    errors={httpx.TransportError: lambda exc: RateLimitError(2000)},  # the CRM is down: retry later, do not fail
)

workers = [emails, pictures, contacts]


class SignedUp(BaseModel):
    """Who signed up. Data that does not fit fails the job: a retry would not help."""

    name: str
    email: str


@emails.processor("welcome")
@idempotent(MemoryStore())  # one mail, even if a delivery comes twice; use RedisStore with several processes
def welcome(job: Job[SignedUp]) -> dict[str, str]:
    """Send a mail. The job's return value is what this function returns."""
    message = EmailMessage()
    message["From"] = "hello@example.com"
    message["To"] = job.data.email
    message["Subject"] = f"Welcome, {job.data.name}"
    # The job's id is the same in every attempt, so a mail program can recognise a second copy.
    message["Message-ID"] = make_msgid(idstring=job.id, domain="example.com")
    message.set_content("Good to have you here.")
    with smtplib.SMTP(os.environ.get("SMTP_HOST", "127.0.0.1"), int(os.environ.get("SMTP_PORT", "1025"))) as smtp:
        smtp.send_message(message)
    return {"message_id": message["Message-ID"]}


@emails.processor("newsletter")
async def newsletter(job: AsyncJob[dict[str, Any]]) -> str:
    """Run the job at its time: until then it is put back, and no attempt is used."""
    if time.time() * 1000 < job.data["not_before"]:
        job.move_to_delayed(job.data["not_before"])
    return f"sent to {job.data['email']}"


@pictures.processor("thumbnail")
def thumbnail(job: Job[dict[str, Any]]) -> dict[str, Any]:
    """Resize a picture. For a file that is not a picture the job fails at once, without more attempts."""
    path = Path(job.data["path"])
    try:
        with Image.open(path) as picture:
            job.update_progress(30)
            picture.thumbnail((128, 128))
            target = path.with_suffix(".thumbnail.png")
            picture.save(target)
            width, height = picture.size
    except UnidentifiedImageError as exc:
        raise UnrecoverableJobError(f"{path.name} is not a picture") from exc
    job.update_progress(100)
    return {"path": str(target), "width": width, "height": height}


@contacts.processor
async def sync_contact(job: AsyncJob[dict[str, Any]]) -> Any:
    """Call the CRM. It fails at times (the job's backoff decides when to try again) and throttles (we rest)."""
    async with httpx.AsyncClient(base_url=os.environ.get("CRM_URL", "http://127.0.0.1:8025")) as crm:
        response = await crm.put(f"/contacts/{job.data['email']}")
    if response.status_code == 429:
        raise RateLimitError(int(response.headers["retry-after"]) * 1000)
    response.raise_for_status()
    return response.json()
