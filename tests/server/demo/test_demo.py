"""The demo: queues in every state, the same jobs each time."""

from __future__ import annotations

import re

import httpx
import pytest

from nextmq_server.cli.dashboard import dashboard
from nextmq_server.demo.demo import Demo
from nextmq_server.demo.traffic import Traffic
from nextmq_server.embedded import EmbeddedValkey
from nextmq_server.projects.projects import Project
from nextmq_server.redis.address import Address
from nextmq_server.service import Service
from nextmq_server.serving import HTTPServer
from tests.support.rest_api import rest_api
from tests.support.serving import running

pytestmark = pytest.mark.anyio

PAGES = {
    "/": "emails, last 60 min: ",
    "/queues/emails": "p95 wait",
    "/queues/emails/jobs/6181": "then 3 deliveries: ",
    "/failures": "UnrecoverableJobError: unsubscribed",
    "/search?q=id%3A6181": "bad180@example.com",
    "/search?q=state%3Anope": "at position 0",
    "/search?q=error%3A502+state%3Afailed": "<b>10</b> jobs",
    "/schedules": "at 03:00 every day, Europe/Berlin",
    "/audit": "Nobody has changed anything yet.",
    "/server": "answers this page",
}


async def test_every_queue_is_in_its_state_and_every_page_shows_it(
    valkey: EmbeddedValkey, project: Project, service: Service
) -> None:
    app = rest_api(service)
    pages = dashboard(app, [service], Address(valkey.url), host="127.0.0.1", is_first=True, is_demo=True)
    async with pages as login, running(HTTPServer(app, shutdown_timeout=5)) as port:
        url = f"http://127.0.0.1:{port}"
        async with Demo(service, url) as demo, httpx.AsyncClient(base_url=url, headers={"origin": url}) as client:
            assert await demo.problems() == []
            await client.post("/dashboard/login", data={"once": str(login).partition("once=")[2]})
            for path, wanted in PAGES.items():
                answer = await client.get(f"/dashboard/{project.name}{path}")
                assert (answer.status_code, wanted in answer.text, "DEMO" in answer.text) == (200, True, True), (
                    path
                )
                assert not re.search("hunter2|4111111111111111| style=|<script>", answer.text), path


async def test_a_seed_makes_the_same_jobs(service: Service) -> None:
    first, again, other = ([job.data for job in Traffic(service, seed=seed).emails()] for seed in (1, 1, 2))
    assert first == again != other
