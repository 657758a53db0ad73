"""GET …/events: BullMQ's events as server-sent events, over real connections."""

from __future__ import annotations

import asyncio
import json
import signal
import typing as t
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextmq_handler.settings import parse_connection_string
from nextmq_server.api import events as api_events
from nextmq_server.api.events import EventStream, encode
from nextmq_server.dispatch.egress.rules import EgressRules
from nextmq_server.embedded import EmbeddedValkey
from nextmq_server.engine.events import hub as engine_events
from nextmq_server.engine.events import listener as engine_listener
from nextmq_server.engine.events.listener import Listener
from nextmq_server.engine.events.streams import Event, StreamId
from nextmq_server.front import bounds
from nextmq_server.projects.projects import Project, new_project
from nextmq_server.service import Service
from nextmq_server.testing.processes import start_dev_server
from tests.support.api import JOBS, WORKER, refusal, send
from tests.support.rest_api import documented
from tests.support.serving import EventSource, serving, streaming

if t.TYPE_CHECKING:
    from ..conftest import App, WaitUntil

pytestmark = pytest.mark.anyio

EVENTS = "/v1/queues/emails/events"
NO_IDS = ["-", "1-", "-1", "1-1-1", "latest", "$$", "0x1", f"{2**64}", "9" * 65]


@pytest.fixture
async def client(service: Service) -> t.AsyncIterator[httpx.AsyncClient]:
    """Call the service's API over real connections."""
    async with serving(service) as client:
        yield client


async def emit(service: Service, name: str, **fields: str) -> str:
    """Add an event, as anybody may; its id."""
    scripts = service.jobs.scripts("emails")
    flat = [part for pair in fields.items() for part in pair]
    return str(await scripts.connection.execute("XADD", scripts.keys["events"], "*", "event", name, *flat))


async def test_a_job_that_runs_is_told_in_bullmqs_words(client: httpx.AsyncClient, app: App) -> None:
    async with streaming(client, EVENTS) as source:
        await send(client, "PUT", WORKER, app.registration())
        await send(client, "POST", JOBS, {"name": "welcome"})
        names = [message.event for message in await source.events(5)]
    assert names == ["added", "waiting", "active", "completed", "drained"]


async def test_a_completed_event_has_the_return_value(client: httpx.AsyncClient, app: App) -> None:
    app.outcome = {"outcome": "completed", "returnValue": {"sent": ["é", 0.5, None]}}
    async with streaming(client, EVENTS) as source:
        await send(client, "PUT", WORKER, app.registration())
        await send(client, "POST", JOBS, {"name": "welcome"})
        completed = (await source.events(4))[3]
    assert completed.data == {"jobId": "1", "prev": "active", "returnValue": {"sent": ["é", 0.5, None]}}


async def test_the_answer_is_an_event_stream_that_nobody_stores(client: httpx.AsyncClient) -> None:
    async with client.stream("GET", EVENTS) as response:
        headers = response.headers
    expected = ("text/event-stream; charset=utf-8", "no-store")
    assert (headers["content-type"], headers["cache-control"]) == expected


async def test_a_stream_begins_with_the_id_to_go_on_from(service: Service, client: httpx.AsyncClient) -> None:
    last_id = await emit(service, "before")
    async with client.stream("GET", EVENTS) as response:
        first = await EventSource(response).block()
    assert (first.retry, first.id, first.data) == ("1000", last_id, None)


async def test_an_event_has_its_id(service: Service, client: httpx.AsyncClient) -> None:
    async with streaming(client, EVENTS) as source:
        id = await emit(service, "event")
        assert [message.id for message in await source.events(1)] == [id]


@pytest.mark.parametrize("where", ["header", "query"])
async def test_a_stream_goes_on_after_the_id(service: Service, client: httpx.AsyncClient, where: str) -> None:
    first_id = await emit(service, "one")
    await emit(service, "two")
    options = {"headers": {"last-event-id": first_id}} if where == "header" else {"params": {"from": first_id}}
    async with streaming(client, EVENTS, **options) as source:
        assert [message.event for message in await source.events(1)] == ["two"]


async def test_who_connects_again_goes_on_from_where_it_was(service: Service, client: httpx.AsyncClient) -> None:
    first_id = await emit(service, "one")
    await emit(service, "two")
    options = {"headers": {"last-event-id": first_id}, "params": {"from": "0"}}
    async with streaming(client, EVENTS, **options) as source:
        assert [message.event for message in await source.events(1)] == ["two"]


async def test_from_now_on_can_be_said(service: Service, client: httpx.AsyncClient) -> None:
    await emit(service, "before")
    async with streaming(client, EVENTS, params={"from": "$"}) as source:
        await emit(service, "after")
        assert [message.event for message in await source.events(1)] == ["after"]


@pytest.mark.parametrize("id", [*NO_IDS, ""], ids=lambda id: id[:20] or "empty")
async def test_what_is_no_id_of_an_event_is_refused(api: httpx.AsyncClient, id: str) -> None:
    assert refusal(await api.get(EVENTS, params={"from": id})) == (422, "invalid_request")


@pytest.mark.parametrize("id", NO_IDS, ids=lambda id: id[:20])
async def test_a_last_event_id_that_is_none_is_refused(api: httpx.AsyncClient, id: str) -> None:
    answer = await api.get(EVENTS, headers={"last-event-id": id})
    assert (refusal(answer), "last-event-id" in answer.text) == ((422, "invalid_request"), True)


async def test_a_silent_stream_has_heartbeats(client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_events, "HEARTBEAT", 0.01)
    async with client.stream("GET", EVENTS) as response:
        lines = response.aiter_lines()
        for _ in range(3):
            while await anext(lines) != ":":
                pass


async def test_events_go_on_after_a_heartbeat(
    service: Service, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_events, "HEARTBEAT", 0.01)
    async with streaming(client, EVENTS) as source:
        await source.block()
        for name in map(str, range(10)):
            await emit(service, name)
            assert [message.event for message in await source.events(1)] == [name]


async def test_a_stream_too_many_is_refused(client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_events, "MAX_LISTENERS", 1)
    async with streaming(client, EVENTS):
        answer = await client.get(EVENTS)
    assert (refusal(answer), answer.headers["retry-after"]) == ((429, "too_many_streams"), "5")


async def test_a_client_that_goes_away_makes_place(
    client: httpx.AsyncClient, wait_until: WaitUntil, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_events, "MAX_LISTENERS", 1)
    async with streaming(client, EVENTS):
        pass

    async def is_let_in() -> bool:
        async with client.stream("GET", EVENTS) as response:
            return response.is_success

    await wait_until(is_let_in)


async def test_streams_end_when_the_service_stops(service: Service, client: httpx.AsyncClient) -> None:
    async with streaming(client, EVENTS) as source:
        await service.stop(grace=0)
        assert await source.rest() == []


async def test_no_stream_begins_once_the_service_has_stopped(service: Service, client: httpx.AsyncClient) -> None:
    await service.stop(grace=0)
    assert refusal(await client.get(EVENTS)) == (503, "storage_unavailable")


async def test_no_stream_begins_while_redis_is_gone(own_valkey: EmbeddedValkey, project: Project) -> None:
    service = Service(project, own_valkey.url, egress=EgressRules.for_development())
    await service.start()
    own_valkey.stop()
    async with serving(service) as client:
        assert refusal(await client.get(EVENTS)) == (503, "storage_unavailable")
    await service.stop(grace=0)


async def test_a_queue_whose_events_are_none_is_refused(service: Service, client: httpx.AsyncClient) -> None:
    scripts = service.jobs.scripts("emails")
    await scripts.connection.execute("SET", scripts.keys["events"], "text")
    assert refusal(await client.get(EVENTS)) == (503, "storage_error")


async def test_without_the_key_there_are_no_events(client: httpx.AsyncClient) -> None:
    answer = await client.get(EVENTS, headers={"authorization": "Bearer wrong"})
    assert refusal(answer) == (401, "unauthorized")


async def test_what_happens_in_another_project_is_not_told(service: Service, valkey: EmbeddedValkey) -> None:
    fresh = new_project(f"{service.project.name}-b")
    other = Service(
        Project(fresh.name, fresh.api_keys, fresh.webhook_secrets, f"{service.project.prefix}b"), valkey.url
    )
    await other.start()
    await emit(service, "added", jobId="of A, before")
    async with serving(other, service) as client, streaming(client, f"{EVENTS}?from=0-0") as source:
        await emit(service, "added", jobId="of A, now")
        await emit(other, "added", jobId="of B")
        [told] = await source.events(1)
    await other.stop(grace=0)
    assert told.data["jobId"] == "of B"


async def test_a_client_that_reads_too_slowly_is_told(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_listener, "MAX_BACKLOG", 3)
    scripts = service.jobs.scripts("emails")
    sent: list[bytes] = []

    async def send(message: t.MutableMapping[str, t.Any]) -> None:
        sent.append(message.get("body", b""))
        if b"one" in sent[-1]:
            async with Listener(service.events, scripts) as others:
                for number in range(10):
                    await emit(service, str(number))
                    await anext(others)

    start = str(await service.events.end_of(scripts.keys["events"]))
    await emit(service, "one")
    async with asyncio.timeout(30):
        await EventStream(Listener(service.events, scripts, start)).stream_response(send)
    assert sent[-2:] == [b": too slow: connect again with the last-event-id\n\n", b""]


async def test_more_streams_than_all_projects_may_have_are_refused(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "MAX_ALL_STREAMS", 2)
    async with serving(service) as client, streaming(client, EVENTS):
        answer = await client.get(EVENTS)
        assert (refusal(answer), answer.headers["retry-after"]) == ((429, "too_many_streams"), "5")
    async with serving(service) as client, streaming(client, EVENTS):
        pass


@pytest.mark.parametrize(
    ("name", "stored", "shown"),
    [
        ("completed", {"returnvalue": '{"a":1}'}, {"returnValue": {"a": 1}}),
        ("completed", {"returnvalue": "no json"}, {"returnValue": "no json"}),
        ("progress", {"data": "50"}, {"data": 50}),
        ("delayed", {"delay": "1790000000000"}, {"delay": 1_790_000_000_000}),
        ("retries-exhausted", {"attemptsMade": "3"}, {"attemptsMade": 3}),
        ("cleaned", {"count": "5"}, {"count": 5}),
        ("failed", {"failedReason": "50"}, {"failedReason": "50"}),
        ("added", {"name": "50"}, {"name": "50"}),
    ],
    ids=[
        "return-value",
        "return-value-of-no-json",
        "progress",
        "delayed",
        "exhausted",
        "cleaned",
        "failed",
        "added",
    ],
)
def test_the_fields_of_an_event_are_shown(name: str, stored: dict[str, str], shown: dict[str, t.Any]) -> None:
    data = encode(Event(StreamId(1, 0), name, {"jobId": "7", **stored})).decode().split("data: ")[1]
    assert json.loads(data) == {"jobId": "7", **shown}


@given(st.text(st.characters(exclude_categories=[])), st.dictionaries(st.text(), st.text(st.characters())))
def test_an_event_with_any_content_is_one_message(name: str, fields: dict[str, str]) -> None:
    lines = encode(Event(StreamId(1, 2), name, fields)).decode("ascii").splitlines()
    assert [line.partition(":")[0] for line in lines] == ["id", "event", "data", ""]


def test_the_document_says_what_the_answer_is() -> None:
    answers = documented()["paths"]["/v1/queues/{queue}/events"]["get"]["responses"]
    assert (list(answers["200"]["content"]), "429" in answers) == (["text/event-stream"], True)


async def test_a_dev_server_ends_its_streams_before_it_ends(tmp_path: Path) -> None:
    server, url = start_dev_server(tmp_path)
    try:
        connection = parse_connection_string(url)
        headers = {"authorization": f"Bearer {connection.api_key}"}
        async with (
            httpx.AsyncClient(base_url=connection.base_url, headers=headers, timeout=60) as client,
            streaming(client, EVENTS) as source,
        ):
            server.send_signal(signal.SIGTERM)
            assert await source.rest() == []
    finally:
        status = await asyncio.to_thread(server.stop)
    assert status == 0
