"""A dead letter as a worker leaves it, and what the tests do with its queue over the API."""

from __future__ import annotations

import typing as t

import httpx

from tests.support.api import JOBS, send

DLQ = "/v1/queues/emails-dlq"
REDRIVE = f"{DLQ}/redrive"

LETTER: dict[str, t.Any] = {
    "queue": "emails",
    "id": "42",
    "name": "welcome",
    "data": {"to": ["ä", 2**60, 0.1, None]},
    "opts": {},
    "attemptsMade": 3,
    "reason": "ValueError: no such address",
    "stacktrace": ["Traceback …"],
    "status": 200,
    "failedAt": 1_700_000_000_000,
}


async def add_letter(api: httpx.AsyncClient, data: object = None, **opts: t.Any) -> str:
    """Add a dead letter, or another job, to the dead-letter queue. Return its id."""
    body = {"name": "welcome", "data": LETTER if data is None else data, "opts": opts}
    return str((await send(api, "POST", f"{DLQ}/jobs", body)).raise_for_status().json()["id"])


async def redrive(api: httpx.AsyncClient, **body: t.Any) -> list[str]:
    answer = await send(api, "POST", REDRIVE, body)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["redriven"])


async def jobs(api: httpx.AsyncClient, path: str = JOBS) -> list[dict[str, t.Any]]:
    """All jobs of a queue, oldest first."""
    return list((await api.get(path, params={"asc": "true", "end": "999"})).raise_for_status().json()["jobs"])


async def only_job(api: httpx.AsyncClient) -> dict[str, t.Any]:
    [job] = await jobs(api)
    return job
