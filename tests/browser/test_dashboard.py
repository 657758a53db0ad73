"""The dashboard in Chromium against `nextmq dev`: log in by the printed link, live rows, no faults for axe."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import typing as t
from pathlib import Path

import httpx
import pytest

pytestmark = pytest.mark.browser

ARGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
SIZES = ((1280, 800), (390, 844))


class Served(t.NamedTuple):
    """A server that was just started: its URL, the link that logs in once, the API key."""

    url: str
    link: str
    key: str


@pytest.fixture
def served(tmp_path: Path) -> t.Iterator[Served]:
    """Run `nextmq dev` on an empty folder."""
    command = [sys.executable, "-m", "nextmq_handler", "dev", "--port", "0", "--data-dir", str(tmp_path / "data")]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONUNBUFFERED": "1"}
    ) as it:
        assert it.stdout is not None
        banner = ""
        while "Deliveries:" not in banner:
            line = it.stdout.readline()
            assert line, banner
            banner += line
        links = re.search(r"(http://[^/\s]+)(/dashboard/login#once=\S+)", banner)
        keys = re.search(r"Bearer ([^']+)'", banner)
        assert links is not None, banner
        assert keys is not None, banner
        yield Served(links[1], links[0], keys[1])
        it.terminate()


@pytest.fixture
def page() -> t.Iterator[t.Any]:
    """Open a page in Chromium; what its console says is an error at the end."""
    from playwright.sync_api import sync_playwright

    chromium = os.environ.get("NEXTMQ_CHROMIUM") or shutil.which("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGS)
        page, said = browser.new_page(viewport={"width": 1280, "height": 800}), list[str]()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        yield page
        browser.close()
    assert said == []


def test_link_opens_the_queues_and_a_job_appears_without_a_reload(served: Served, page: t.Any) -> None:
    page.goto(served.link)
    page.wait_for_url("**/dashboard/dev/")
    with httpx.Client(base_url=served.url, headers={"authorization": f"Bearer {served.key}"}) as api:
        api.post("/v1/queues/emails/jobs", json={"name": "welcome", "data": 1}).raise_for_status()
        page.wait_for_selector(
            "tr[data-q=emails] td[data-l=waiting] :text-is('1'), td[data-l=waiting]:text-is('1')"
        )
        api.post("/v1/queues/emails/jobs", json={"name": "welcome", "data": 1}).raise_for_status()
        page.wait_for_selector("td[data-l=waiting]:text-is('2')")


def test_pages_have_no_fault_for_axe_and_do_not_scroll_sideways(served: Served, page: t.Any) -> None:
    from axe_playwright_python.sync_playwright import Axe

    headers = {"authorization": f"Bearer {served.key}"}
    jobs = f"{served.url}/v1/queues/emails/jobs"
    httpx.post(jobs, json={"name": "welcome" * 30, "data": {"to": "x" * 500}}, headers=headers).raise_for_status()
    page.goto(served.link)
    page.wait_for_url("**/dashboard/dev/")
    for path in ("", "endpoints", "queues/emails", "queues/emails/jobs/1"):
        for width, height in SIZES:
            for scheme in ("light", "dark"):
                page.set_viewport_size({"width": width, "height": height})
                page.emulate_media(color_scheme=scheme)
                page.goto(f"{served.url}/dashboard/dev/{path}")
                where = (path, width, scheme)
                assert [fault["id"] for fault in Axe().run(page).response["violations"]] == [], where
                assert page.evaluate("document.documentElement.scrollWidth") <= width, where
