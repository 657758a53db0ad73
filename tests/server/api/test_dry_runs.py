"""`?dryRun=true`: a dry run changes nothing, and counts what the same call then changes."""

from __future__ import annotations

import typing as t

import httpx
import pytest

from nextmq_server.engine.queues import matching
from tests.server.conftest import App, WaitUntil
from tests.support.api import COUNTS, JOBS, WORKER, send
from tests.support.redriving import DLQ, LETTER, add_letter

pytestmark = pytest.mark.anyio

QUEUE = "/v1/queues/emails"
HOUR = 3_600_000


async def fill(api: httpx.AsyncClient, app: App, wait_until: WaitUntil) -> None:
    """Give the queue jobs in each state: some of them old, the next ones of two schedulers, one active."""
    app.outcome = {"outcome": "failed", "error": {"name": "Error", "message": "boom", "stack": ""}}
    await send(api, "PUT", WORKER, app.registration())
    await add(api, 3)

    async def has(state: str, count: int) -> bool:
        return bool((await api.get(COUNTS)).json()[state] == count)

    await wait_until(lambda: has("failed", 3))
    app.outcome = {"outcome": "completed", "returnValue": None}
    await add(api, 2)
    await wait_until(lambda: has("completed", 2))
    app.gate.clear()
    await add(api, 1)
    await wait_until(lambda: has("active", 1))
    (await api.post(f"{QUEUE}/pause")).raise_for_status()
    await add(api, 4)
    await add(api, 2, timestamp=1)
    await add(api, 5, priority=3)
    await add(api, 6, delay=HOUR)
    await add(api, 1, delay=HOUR, timestamp=1)
    for id, repeat in (("yearly", {"pattern": "0 0 1 1 *"}), ("now", {"every": HOUR})):
        body = {"repeat": repeat, "template": {"name": "welcome"}}
        (await api.put(f"{QUEUE}/schedulers/{id}", json=body)).raise_for_status()


async def add(api: httpx.AsyncClient, count: int, **opts: t.Any) -> None:
    jobs = [{"name": "welcome", "opts": opts} for _ in range(count)]
    (await api.post(f"{JOBS}/bulk", json={"jobs": jobs})).raise_for_status()


async def total(api: httpx.AsyncClient) -> int:
    return sum((await api.get(COUNTS)).json().values())


async def in_state(api: httpx.AsyncClient, state: str) -> int:
    return int((await api.get(COUNTS)).json()[state])


REMOVALS: dict[str, tuple[str, dict[str, t.Any]]] = {
    "drain": ("drain", {}),
    "drain the delayed": ("drain", {"delayed": True}),
    "clean the completed": ("clean", {"grace": 0}),
    "clean the completed of an hour ago": ("clean", {"grace": HOUR}),
    "clean the failed": ("clean", {"grace": 0, "state": "failed"}),
    "clean the waiting": ("clean", {"grace": 0, "state": "wait"}),
    "clean the waiting of an hour ago": ("clean", {"grace": HOUR, "state": "wait"}),
    "clean the delayed": ("clean", {"grace": 0, "state": "delayed"}),
    "clean the delayed of an hour ago": ("clean", {"grace": HOUR, "state": "delayed"}),
    "clean the prioritized": ("clean", {"grace": 0, "state": "prioritized"}),
    "clean the active": ("clean", {"grace": 0, "state": "active"}),
    "clean the paused": ("clean", {"grace": 0, "state": "paused"}),
    "obliterate": ("obliterate", {"force": True}),
}


@pytest.mark.parametrize(("call", "body"), REMOVALS.values(), ids=REMOVALS)
async def test_what_a_dry_run_counts_the_call_removes(
    api: httpx.AsyncClient,
    app: App,
    wait_until: WaitUntil,
    monkeypatch: pytest.MonkeyPatch,
    call: str,
    body: dict[str, t.Any],
) -> None:
    monkeypatch.setattr(matching, "PIECE", 2)
    await fill(api, app, wait_until)
    before = await total(api)
    answer = await api.post(f"{QUEUE}/{call}?dryRun=true", json=body)
    unchanged = await total(api)
    (await api.post(f"{QUEUE}/{call}?dryRun=false", json=body)).raise_for_status()
    app.gate.set()
    assert (answer.json(), unchanged) == ({"matching": before - await total(api)}, before)


MOVES: dict[str, tuple[str, dict[str, t.Any] | None, str]] = {
    "retry the failed": ("retry-jobs", {}, "failed"),
    "retry the completed": ("retry-jobs", {"state": "completed"}, "completed"),
    "retry those of long ago": ("retry-jobs", {"timestamp": 1}, "failed"),
    "promote": ("promote-jobs", None, "delayed"),
}


@pytest.mark.parametrize(("call", "body", "state"), MOVES.values(), ids=MOVES)
async def test_what_a_dry_run_counts_the_call_moves(
    api: httpx.AsyncClient,
    app: App,
    wait_until: WaitUntil,
    call: str,
    body: dict[str, t.Any] | None,
    state: str,
) -> None:
    await fill(api, app, wait_until)
    before = await in_state(api, state)
    answer = await api.post(f"{QUEUE}/{call}", params={"dryRun": "true"}, json=body)
    unchanged = await in_state(api, state)
    (await api.post(f"{QUEUE}/{call}", json=body)).raise_for_status()
    app.gate.set()
    assert (answer.json(), unchanged) == ({"matching": before - await in_state(api, state)}, before)


@pytest.mark.parametrize(
    "wanted",
    [{}, {"limit": 2}, {"name": "bye"}, {"reason": "Value"}, {"ids": ["a", "x"]}, {"ids": ["a"], "data": 1}],
    ids=str,
)
async def test_what_a_dry_run_counts_the_call_redrives(api: httpx.AsyncClient, wanted: dict[str, t.Any]) -> None:
    for id, name in (("a", "welcome"), ("b", "bye"), ("c", "welcome")):
        await add_letter(api, {**LETTER, "name": name}, jobId=id)
    await add_letter(api, "not a dead letter")
    await add_letter(api, {**LETTER, "opts": {"priority": "high"}})
    answer = await api.post(f"{DLQ}/redrive?dryRun=true", json=wanted)
    redriven = (await api.post(f"{DLQ}/redrive", json=wanted)).json()["redriven"]
    assert answer.json() == {"matching": len(redriven)}


async def test_all_queues_are_paused_and_resumed_at_once(api: httpx.AsyncClient) -> None:
    await add(api, 1)
    await add_letter(api)
    queues = ["emails", "emails-dlq"]
    seen = [(await api.post(f"/v1/{call}")).json() for call in ("pause", "resume", "pause")]
    paused = [(await api.get(f"/v1/queues/{queue}")).json()["isPaused"] for queue in queues]
    assert (seen, paused) == ([{"queues": queues}] * 3, [True, True])
