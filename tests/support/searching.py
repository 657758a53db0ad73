"""Jobs to search for, written to Redis as BullMQ keeps them, and a search to its end."""

from __future__ import annotations

import json
import typing as t

import httpx

from nextmq_server.engine.queues.jobs import Jobs

EPOCH = 1_700_000_000_000


async def put(
    jobs: Jobs,
    state: str,
    ids: t.Iterable[object],
    *,
    queue: str = "emails",
    score: float | None = None,
    **fields: t.Any,
) -> None:
    """Put jobs into a state; finished ones ended at EPOCH plus `score`, or plus their place among the ids."""
    scripts = jobs.scripts(queue)
    for number, id in enumerate(ids):
        at = EPOCH + (number if score is None else score)
        data = fields.get("data", {"number": number})
        stored: dict[str, t.Any] = {
            "name": "welcome",
            "opts": "{}",
            "timestamp": EPOCH,
            "delay": 0,
            "priority": 0,
            **fields,
            "data": data if isinstance(data, str) else json.dumps(data),
        }
        if state in ("failed", "completed"):
            stored |= {"finishedOn": int(at), "failedReason": fields.get("failedReason", "Error: 502")}
        flat = [part for field in stored.items() for part in field]
        await scripts.connection.execute("HSET", scripts.key(str(id)), *flat)
        if state in ("wait", "paused", "active"):
            await scripts.connection.execute("LPUSH", scripts.keys[state], str(id))
        else:
            member = at * 0x1000 if state == "delayed" else at
            await scripts.connection.execute("ZADD", scripts.keys[state], member, str(id))


async def search_all(api: httpx.AsyncClient, q: str, **params: t.Any) -> list[str]:
    """Return the ids of all that a search finds, going on from cursor to cursor."""
    found: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        answer = await api.get("/v1/search", params={"q": q, **params, **cursor})
        assert answer.status_code == 200, answer.text
        page = answer.json()
        found += [one["job"]["id"] for one in page["jobs"]]
        if page["cursor"] is None:
            return found
        cursor = {"cursor": page["cursor"]}
