"""The page about rotation, typed as it stands: a real server, a real app, jobs before, between and after."""

from __future__ import annotations

import signal
import time
import typing as t
from pathlib import Path

import pytest
import redis

from nextmq_server.embedded import EmbeddedValkey
from nextmq_server.projects.projects_file import add_project, load_projects
from nextmq_server.testing.processes import free_port
from tests.conformance.integrations.processes import ServerIntegration, start_server
from tests.docs.commands import commands_in
from tests.docs.pages import ROOT, blocks_of

from .test_serve import Served, run, running

PAGE = ROOT / "docs" / "how-to" / "rotate-secrets.md"
APP = ["uvicorn", "--factory", "tests.server.workers.rolling_app:asgi", "--no-access-log"]
PATIENCE = 30.0


def page_commands() -> list[list[str]]:
    """Return the arguments of each nextmq command on the page, in its order."""
    text = PAGE.read_text().splitlines()
    found: list[list[str]] = []
    for block in blocks_of(PAGE):
        if block.language == "console":
            lines = [line.strip() for line in text[block.line :]]
            found += commands_in("\n".join(lines[: lines.index("```")]))
    return [arguments for program, *arguments in found if program == "nextmq"]


@pytest.fixture
def served(tmp_path: Path, valkey: EmbeddedValkey) -> t.Iterator[Served]:
    """Run a server of the project shop, as on the page."""
    file = tmp_path / "projects.json"
    with redis.Redis(unix_socket_path=str(valkey.socket_path)) as client:
        for key in [*client.scan_iter("nextmq:{shop}:*"), *client.scan_iter("shop:*")]:
            client.delete(key)
    add_project(file, "shop", prefix="shop")
    with running(file, valkey.url, "--allow-egress", "127.0.0.0/8") as served:
        yield served


def reload(served: Served) -> None:
    """Send SIGHUP, and wait until the server has the file's secrets."""
    [project] = served.projects
    served.process.send_signal(signal.SIGHUP)
    ids = ", ".join(secret.id for secret in project.secrets)
    served.process.wait_for_line(f"{len(project.api_keys)} API keys, webhook secrets {ids}")


def run_job(served: Served) -> None:
    """Run a job to its end."""
    [project] = served.projects
    added = served.call(project, "POST", "/v1/queues/emails/jobs", json={"name": "welcome"}).json()
    path = f"/v1/queues/emails/jobs/{added['id']}/result?wait=20000"
    answer = served.call(project, "GET", path, timeout=PATIENCE)
    assert answer.json().get("returnValue") == "1", f"{answer.text}\n{''.join(served.process.lines)}"


def wait_for_registration(served: Served, *secret_ids: str) -> None:
    """Wait until the registration has these secrets."""
    [project] = served.projects
    deadline = time.monotonic() + PATIENCE
    while True:
        held = served.call(project, "GET", "/v1/queues/emails/worker")
        if held.is_success and set(secret_ids) <= set(held.json()["secretIds"]):
            return
        assert time.monotonic() < deadline, held.text
        time.sleep(0.02)


class App:
    """The app, under one URL whichever deploy it is of."""

    def __init__(self) -> None:
        self._port = str(free_port())
        self._process: ServerIntegration | None = None

    def deploy(self, url: str) -> None:
        """Replace the app by one that has this NEXTMQ_URL."""
        self.stop()
        env = {"NEXTMQ_URL": url, "NEXTMQ_APP_URL": f"http://127.0.0.1:{self._port}/nextmq", "VERSION": "1"}
        self._process = start_server([*APP, "--port", self._port], "running on http://", env)

    @property
    def output(self) -> str:
        assert self._process is not None
        return "".join(self._process.child.lines)

    def stop(self) -> None:
        if self._process is not None:
            self._process.stop()


@pytest.fixture
def app() -> t.Iterator[App]:
    app = App()
    yield app
    app.stop()


def test_the_page_works_as_it_is_typed(served: Served, app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEXTMQ_PROJECTS_FILE", str(served.file))
    [before] = load_projects(served.file)
    old = before.secrets[0].id
    app.deploy(before.connection_string(served.base_url))
    wait_for_registration(served, old)
    run_job(served)
    rotate, retire, show = page_commands()[:3]

    rotated = run(*(word.replace("https://queue.example", served.base_url) for word in rotate))
    assert f"nextmq projects retire shop {old}" in rotated.stderr
    reload(served)
    app.deploy(rotated.stdout.strip())
    run_job(served)
    new = load_projects(served.file)[0].secrets[0].id
    wait_for_registration(served, new)
    assert "ERROR" not in app.output

    retired = run(*(word.replace("1c8e02f7", old) for word in retire), "--redis-url", served.redis_url)
    assert retired.returncode == 0, retired.stderr
    reload(served)
    run_job(served)
    shown = run(*show, "--redis-url", served.redis_url).stdout
    assert (new in shown, old in shown) == (True, False)
    assert "ERROR" not in "".join(served.process.lines)


def test_a_secret_in_use_is_retired_only_by_force(
    served: Served, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEXTMQ_PROJECTS_FILE", str(served.file))
    monkeypatch.setenv("NEXTMQ_REDIS_URL", served.redis_url)
    [before] = load_projects(served.file)
    old = before.secrets[0].id
    app.deploy(before.connection_string(served.base_url))
    run_job(served)
    run("projects", "rotate", "shop")
    refused = run("projects", "retire", "shop", old)
    assert (refused.returncode, f"still uses webhook secret {old}" in refused.stderr) == (1, True)
    assert [secret.id for secret in load_projects(served.file)[0].secrets][1:] == [old]
    forced = run("projects", "retire", "shop", old, "--force")
    [after] = load_projects(served.file)
    assert (forced.returncode, old in {secret.id for secret in after.secrets}) == (0, False)
    assert after.retired_secrets == (old,)
