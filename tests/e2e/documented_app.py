"""The app that docs/how-to/add-jobs.md adds jobs for."""

from __future__ import annotations

import typing as t

from fastapi import FastAPI

from nextmq_handler import AsyncJob, Worker, create_nextmq_handler

emails, reports, fetches = Worker("emails", concurrency=5), Worker("reports"), Worker("fetches", concurrency=5)


@emails.processor
async def send(job: AsyncJob[t.Any]) -> t.Any:
    return {"sent_to": job.data["to"]}


@reports.processor
async def report(job: AsyncJob[t.Any]) -> t.Any:
    return sorted((await job.get_children_values()).values())


@fetches.processor
async def fetch(job: AsyncJob[t.Any]) -> t.Any:
    return job.data["url"]


handler = create_nextmq_handler(workers=[emails, reports, fetches])
app = FastAPI(lifespan=handler.lifespan)
app.mount("/api/nextmq", handler)
