"""What pages show: hostile text does no harm, secrets are hidden, a Redis that is gone is said."""

from __future__ import annotations

import html.parser
import typing as t
from urllib.parse import quote

import httpx
import pytest

from nextmq_server.dashboard.app import create_dashboard
from nextmq_server.dashboard.live import LiveQueues, Viewer
from nextmq_server.embedded import EmbeddedValkey
from nextmq_server.projects.projects import Project
from nextmq_server.redis.address import Address
from nextmq_server.redis.connection import RedisConnection
from nextmq_server.service import Service

from .conftest import ORIGIN

if t.TYPE_CHECKING:
    from ..conftest import App

pytestmark = pytest.mark.anyio

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>{{7*7}}{% x %}\u202eabc\ufeff"
TAGS = {"script", "img", "iframe", "object", "style"}


class Tags(html.parser.HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def check_harmless(page: str) -> None:
    """Check that a page has its own script only, no handler, no style, and no unseen character."""
    tags = Tags(page).found
    assert [tag for tag, _ in tags if tag in TAGS] == ["script"]
    assert not [name for _, attrs in tags for name in attrs if name.startswith("on") or name == "style"]
    assert not set(page) & {"\u202e", "\ufeff"}


async def test_hostile_text_does_no_harm(
    viewer: httpx.AsyncClient, api: httpx.AsyncClient, project: Project, service: Service
) -> None:
    queue, job_id = "emails", "x/../<i>%2F"
    body = {"name": HOSTILE, "data": {HOSTILE: [HOSTILE]}, "opts": {"jobId": job_id, "attempts": 1}}
    path = f"/v1/queues/{quote(queue, safe='')}/jobs"
    (await api.post(path, json=body)).raise_for_status()
    await api.post(f"{path}/{quote(job_id, safe='')}/logs", json={"row": HOSTILE})
    await service.jobs.scripts(queue).connection.execute(
        "HSET", f"{project.prefix}:{queue}:{job_id}", "failedReason", HOSTILE, "stacktrace", '["\\ud800<script>"]'
    )
    base = f"/dashboard/{project.name}"
    one = f"{base}/queues/{quote(queue, safe='')}"
    pages = [
        f"{base}/queues/%3Cb%3E",
        f"{base}/queues/%3Cb%3E/jobs/1",
        f"{base}/",
        f"{base}/?name={quote(HOSTILE)}&sort=x&page=0",
        one,
        f"{one}?state=waiting&page=x",
    ]
    for page in [*pages, f"{one}/jobs/{quote(job_id, safe='')}", f"{one}/jobs/none", f"{base}/endpoints"]:
        answer = await viewer.get(page)
        assert answer.status_code == (404 if page.endswith("none") or "%3Cb" in page else 200), page
        assert answer.text.rstrip().endswith("</html>"), page
        check_harmless(answer.text)
    assert "{{7*7}}" in (await viewer.get(f"{one}/jobs/{quote(job_id, safe='')}")).text


async def test_secrets_are_hidden(viewer: httpx.AsyncClient, api: httpx.AsyncClient, project: Project) -> None:
    data = {"to": "a@example.com", "password": "hunter2", "note": f"key {project.api_key}"}
    (await api.post("/v1/queues/emails/jobs", json={"name": "welcome", "data": data})).raise_for_status()
    for page in ("queues/emails", "queues/emails?state=waiting", "queues/emails/jobs/1"):
        shown = (await viewer.get(f"/dashboard/{project.name}/{page}")).text
        assert "a@example.com" in shown
        assert "hunter2" not in shown
        assert project.api_key not in shown


async def test_first_run_shows_how_to_start_without_a_key(viewer: httpx.AsyncClient, project: Project) -> None:
    shown = (await viewer.get(f"/dashboard/{project.name}/")).text
    assert "create_nextmq_handler" in shown
    assert project.api_key not in shown
    assert project.webhook_secrets[0] not in shown


async def test_queue_without_worker_says_why_and_which_name_was_meant(
    viewer: httpx.AsyncClient, api: httpx.AsyncClient, project: Project, app: App
) -> None:
    (await api.put("/v1/queues/emails/worker", json=app.registration())).raise_for_status()
    (await api.post("/v1/queues/Emails/jobs", json={"name": "welcome", "data": 1})).raise_for_status()
    overview = (await viewer.get(f"/dashboard/{project.name}/")).text
    attention = overview[overview.index('id="attention"') : overview.index('id="queues"')]
    assert "no worker" in attention
    assert "Did you mean" in attention
    page = (await viewer.get(f"/dashboard/{project.name}/queues/Emails")).text
    assert "nextmq register" in page
    assert app.url in (await viewer.get(f"/dashboard/{project.name}/endpoints")).text


async def test_redis_gone_is_said(own_valkey: EmbeddedValkey, project: Project) -> None:
    service = Service(project, own_valkey.url)
    await service.start()
    async with RedisConnection.opened(Address(own_valkey.url), name="dashboard") as connection:
        app = create_dashboard([service], connection)
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url=ORIGIN, headers={"origin": ORIGIN}) as client:
            await client.post("/login", data={"key": project.api_key})
            own_valkey.stop()
            for page in ("/", f"/{project.name}/", f"/{project.name}/queues/emails/jobs/1"):
                answer = await client.get(page, follow_redirects=True)
                assert answer.status_code == 503, page
                assert "Redis does not answer" in answer.text
        await service.stop(grace=0)


async def test_live_stream_tells_a_row_that_changed(api: httpx.AsyncClient, service: Service) -> None:
    (await api.post("/v1/queues/emails/jobs", json={"name": "welcome", "data": 1})).raise_for_status()
    watcher, viewer = LiveQueues(service, "/dashboard/shop"), Viewer()
    watcher.welcome(viewer)
    try:
        first = await viewer.get()
        (await api.post("/v1/queues/emails/jobs", json={"name": "welcome", "data": 2})).raise_for_status()
        second = await viewer.get()
        (await api.post("/v1/queues/other/jobs", json={"name": "welcome", "data": 2})).raise_for_status()
        third = await viewer.get()
    finally:
        await watcher.stop()
    kinds = [(event or b"").partition(b"\n")[0] for event in (first, second, third)]
    assert kinds == [b"event: rows", b"event: rows", b"event: reload"]
