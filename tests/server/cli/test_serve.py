"""`nextmq serve` and `nextmq projects` as real processes; only a few, because each takes a second to start."""

from __future__ import annotations

import contextlib
import itertools
import json
import re
import signal
import subprocess
import sys
import typing as t
from pathlib import Path

import httpx
import pytest
import redis
from aiohttp import web

from nextmq_handler.protocol.signing import generate_secret
from nextmq_handler.settings import parse_connection_string
from nextmq_server.embedded import EmbeddedValkey
from nextmq_server.projects.projects import Project
from nextmq_server.projects.projects_file import add_project, load_projects
from nextmq_server.testing.processes import ChildProcess
from tests.support.api import COUNTS, JOBS, WORKER, registration

from ..conftest import App

if t.TYPE_CHECKING:
    from ..conftest import Serve, WaitUntil

MODULE = [sys.executable, "-m", "nextmq_server"]
_names = (f"served{number}" for number in itertools.count(1))


class Served(t.NamedTuple):
    """A running `nextmq serve` on a free port."""

    process: ChildProcess
    base_url: str
    file: Path
    redis_url: str

    @property
    def projects(self) -> tuple[Project, ...]:
        return load_projects(self.file)

    def call(self, project: Project, method: str, path: str, **content: t.Any) -> httpx.Response:
        """Call the API with the project's key."""
        headers = {"authorization": f"Bearer {project.api_key}"}
        return httpx.request(method, self.base_url + path, headers=headers, **content)


def add_fresh(file: Path) -> Project:
    """Add an unused project to the file."""
    name = next(_names)
    return add_project(file, name, prefix=name)


@contextlib.contextmanager
def running(file: Path, redis_url: str, *options: str) -> t.Generator[Served]:
    """Run `nextmq serve`, ready. Its stdout and stderr are the lines of the process."""
    env = {"NEXTMQ_REDIS_URL": redis_url, "NEXTMQ_PROJECTS_FILE": str(file)}
    process = ChildProcess([*MODULE, "serve", "--port", "0", *options], env=env)
    try:
        line = process.wait_for_line("NextMQ server on ")
        port = line.split()[3].rstrip(".").rpartition(":")[2]
        yield Served(process, f"http://127.0.0.1:{port}", file, redis_url)
    finally:
        process.stop()


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command that ends by itself."""
    return subprocess.run([*MODULE, *arguments], capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, valkey: EmbeddedValkey) -> t.Iterator[Served]:
    """Run the server that most tests share, on all addresses, with two projects."""
    file = tmp_path_factory.mktemp("served") / "projects.json"
    add_fresh(file)
    add_fresh(file)
    with running(file, valkey.url, "--host", "0.0.0.0") as served:
        yield served


@pytest.fixture(scope="module")
def added(tmp_path_factory: pytest.TempPathFactory) -> tuple[subprocess.CompletedProcess[str], Path]:
    """Return the output of `nextmq projects add` and the file that it created."""
    file = tmp_path_factory.mktemp("added") / "projects.json"
    return run("projects", "add", "shop", "--projects", str(file), "--url", "https://queue.example"), file


def test_each_project_is_opened_by_its_key(served: Served) -> None:
    assert [served.call(project, "GET", COUNTS).status_code for project in served.projects[:2]] == [200, 200]


def test_a_job_of_one_project_is_not_in_the_others_queue(served: Served) -> None:
    one, two = served.projects[:2]
    served.call(one, "POST", JOBS, json={"name": "welcome"})
    assert [served.call(each, "GET", COUNTS).json()["waiting"] for each in (one, two)] == [1, 0]


def test_it_is_ready(served: Served) -> None:
    assert httpx.get(f"{served.base_url}/readyz").status_code == 200


def test_it_delivers_to_no_private_address_unless_told_to(served: Served) -> None:
    answer = served.call(served.projects[0], "PUT", WORKER, json=registration(served.projects[0]))
    assert (answer.status_code, "--allow-egress" in answer.text) == (422, True)


def test_a_project_added_to_the_file_is_served_after_sighup(served: Served) -> None:
    project = add_fresh(served.file)
    served.process.send_signal(signal.SIGHUP)
    served.process.wait_for_line(f"project {project.name}: 1 API keys")
    assert served.call(project, "GET", COUNTS).status_code == 200


def test_a_key_added_to_the_file_is_valid_after_sighup(served: Served) -> None:
    entries = json.loads(served.file.read_text())
    entries[0]["apiKeys"] = ["nmq_the_new_one_of_two", *entries[0]["apiKeys"]]
    served.file.write_text(json.dumps(entries))
    served.process.send_signal(signal.SIGHUP)
    served.process.wait_for_line(f"project {entries[0]['name']}: 2 API keys")
    headers = [{"authorization": f"Bearer {key}"} for key in entries[0]["apiKeys"][:2]]
    assert [httpx.get(served.base_url + COUNTS, headers=each).status_code for each in headers] == [200, 200]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda entries: entries[1:], "was removed from the file"),
        (lambda entries: [entries[0] | {"prefix": "elsewhere"}, *entries[1:]], "has another prefix"),
        (lambda entries: [], "contains no project"),
        (lambda entries: [{}], "0.name: Field required"),
    ],
    ids=["a project less", "another prefix", "no project", "no projects file"],
)
def test_a_file_that_cannot_be_taken_over_is_told_and_changes_nothing(
    served: Served, change: t.Callable[[list[dict[str, t.Any]]], object], problem: str
) -> None:
    before, projects = served.file.read_text(), served.projects
    served.file.write_text(json.dumps(change(json.loads(before))))
    served.process.send_signal(signal.SIGHUP)
    served.process.wait_for_line(problem)
    served.file.write_text(before)
    assert [served.call(project, "GET", COUNTS).status_code for project in projects] == [200] * len(projects)


def test_a_secret_that_an_app_needs_is_dropped_only_by_name(served: Served) -> None:
    project = served.projects[0]
    worker = registration(project, url="https://a.example/queues/emails")
    assert served.call(project, "PUT", WORKER, json=worker).is_success
    [old] = project.secrets
    entries = json.loads(served.file.read_text())
    entries[0]["webhookSecrets"] = [generate_secret()]
    served.file.write_text(json.dumps(entries))
    served.process.send_signal(signal.SIGHUP)
    served.process.wait_for_line(f"project {project.name} still uses webhook secret {old.id}")
    entries[0]["retiredSecrets"] = [old.id]
    served.file.write_text(json.dumps(entries))
    served.process.send_signal(signal.SIGHUP)
    served.process.wait_for_line("queue emails: its app registered with none of the webhook secrets")
    shown = served.call(project, "GET", "/v1/project").json()["webhookSecrets"]
    assert [secret["id"] for secret in shown] == [served.projects[0].secrets[0].id] != [old.id]


def test_showing_a_project_tells_of_each_key_and_secret(served: Served, valkey: EmbeddedValkey) -> None:
    project = served.projects[1]
    served.call(project, "GET", COUNTS)
    options = ("--projects", str(served.file), "--redis-url", valkey.url)
    key, secret = run("projects", "show", project.name, *options).stdout.splitlines()
    assert re.fullmatch(rf"API key {project.key_ids[0]} last used [0-9: -]+ UTC", key)
    assert secret == f"webhook secret {project.secrets[0].id} never signed an outcome"


def test_a_project_that_is_not_in_the_file_cannot_be_shown(served: Served, valkey: EmbeddedValkey) -> None:
    options = ("--projects", str(served.file), "--redis-url", valkey.url)
    refused = run("projects", "show", "nobody", *options)
    assert (refused.returncode, "has no project nobody: choose one of " in refused.stderr) == (1, True)


def test_neither_key_nor_secret_is_printed(served: Served) -> None:
    printed = "".join(served.process.lines)
    assert [
        text
        for project in served.projects
        for text in (*(key.key for key in project.keys), *project.webhook_secrets)
        if text in printed
    ] == []


def test_another_address_than_loopback_is_warned_of(served: Served) -> None:
    assert "plain HTTP on 0.0.0.0: only a TLS proxy" in "".join(served.process.lines)


def test_an_evicting_redis_exits_1_with_one_line(tmp_path: Path, own_valkey: EmbeddedValkey) -> None:
    with redis.Redis(unix_socket_path=str(own_valkey.socket_path)) as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
    add_fresh(tmp_path / "projects.json")
    refused = run("serve", "--projects", str(tmp_path / "projects.json"), "--redis-url", own_valkey.url)
    [line] = refused.stderr.splitlines()
    assert (refused.returncode, line.partition(": ")[0]) == (1, "nextmq serve")
    assert "maxmemory-policy noeviction" in line


@pytest.mark.anyio
async def test_no_more_deliveries_are_in_flight_than_the_option_says(
    tmp_path: Path, valkey: EmbeddedValkey, serve: Serve, wait_until: WaitUntil
) -> None:
    file = tmp_path / "projects.json"
    project = add_fresh(file)
    app = App(project)
    in_flight: list[str] = []
    most: list[int] = []

    async def handle(request: web.Request) -> web.Response:
        in_flight.append(request.path)
        most.append(len(in_flight))
        answer = await app.handle(request)
        in_flight.remove(request.path)
        return answer

    url = await serve(handle)
    with running(file, valkey.url, "--max-in-flight", "1", "--allow-egress", "127.0.0.0/8") as served:
        jobs = {"jobs": [{"name": "welcome"}] * 10}
        for queue in ("emails", "reports"):
            worker = registration(project, url=f"{url}/queues/{queue}", options={"concurrency": 10})
            served.call(project, "PUT", f"/v1/queues/{queue}/worker", json=worker)
            served.call(project, "POST", f"/v1/queues/{queue}/jobs/bulk", json=jobs)
        await wait_until(lambda: len(app.deliveries) == 20)
    assert set(most) == {1}


@pytest.mark.anyio
async def test_a_job_starts_no_more_often_without_an_attempt_than_the_option_says(
    tmp_path: Path, valkey: EmbeddedValkey, serve: Serve, wait_until: WaitUntil
) -> None:
    file = tmp_path / "projects.json"
    project = add_fresh(file)
    app = App(project)
    app.outcome = {"outcome": "delayed", "timestamp": 0}
    url = await serve(app.handle)
    with running(file, valkey.url, "--max-free-starts", "2", "--allow-egress", "127.0.0.0/8") as served:
        served.call(project, "PUT", WORKER, json=registration(project, url=f"{url}/queues/emails"))
        job_id = served.call(project, "POST", JOBS, json={"name": "welcome"}).json()["id"]

        def job() -> dict[str, t.Any]:
            return t.cast("dict[str, t.Any]", served.call(project, "GET", f"{JOBS}/{job_id}").json())

        await wait_until(lambda: job()["state"] == "failed")
        assert job()["failedReason"].startswith("TooManyStarts")
    assert len(app.deliveries) == 2


def test_adding_a_project_prints_its_connection_string_alone(
    added: tuple[subprocess.CompletedProcess[str], Path],
) -> None:
    printed, file = added
    [project] = load_projects(file)
    connection = parse_connection_string(printed.stdout.removesuffix("\n"))
    expected = ("https://queue.example", "shop", project.api_key, project.webhook_secrets[0])
    found = (connection.base_url, connection.project, connection.api_key, connection.webhook_secret)
    assert found == expected


def test_adding_a_project_gives_it_its_name_as_the_prefix(
    added: tuple[subprocess.CompletedProcess[str], Path],
) -> None:
    assert [project.prefix for project in load_projects(added[1])] == ["shop"]
