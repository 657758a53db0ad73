"""`nextmq projects`: the file's projects, their keys, and what becomes of the jobs of one that is removed."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest
import redis

from nextmq_handler import Queue
from nextmq_handler.cli.main import main
from nextmq_handler.settings import parse_connection_string
from nextmq_server.projects.projects import Project
from nextmq_server.projects.projects_file import add_project, change_projects, load_projects
from nextmq_server.testing.live import LiveServer


class Told(t.NamedTuple):
    """How a command ended, and what it printed."""

    status: object
    out: str
    err: str


class File:
    """A projects file and the command on it."""

    def __init__(self, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.path = path
        self._capsys = capsys

    def run(self, *words: str) -> Told:
        """Run `nextmq projects` in this process."""
        self._capsys.readouterr()
        status: object = 0
        try:
            main(["projects", *words])
        except SystemExit as exc:
            status = exc.code or 0
        return Told(status, *self._capsys.readouterr())

    @property
    def projects(self) -> tuple[Project, ...]:
        return load_projects(self.path)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> File:
    path = tmp_path / "projects.json"
    monkeypatch.setenv("NEXTMQ_PROJECTS_FILE", str(path))
    add_project(path, "shop", prefix="shop")
    add_project(path, "blog", prefix="blog")
    return File(path, capsys)


def test_the_list_has_ids_and_no_values(file: File) -> None:
    told = file.run("list")
    shop, blog = file.projects
    assert [line.split()[:4] for line in told.out.splitlines()[1:]] == [
        ["shop", "shop", shop.key_ids[0], "admin"],
        ["blog", "blog", blog.key_ids[0], "admin"],
    ]
    assert not [one for one in (shop.api_key, *shop.webhook_secrets) if one in told.out]


def test_a_key_with_a_role_is_printed_once_and_has_no_secret_of_apps(file: File) -> None:
    told = file.run("add-key", "shop", "--role", "viewer", "--name", "grafana")
    connection = parse_connection_string(told.out.strip())
    new = file.projects[0].keys[-1]
    assert (new.key, new.role, new.name) == (connection.api_key, "viewer", "grafana")
    assert (connection.project, connection.webhook_secret) == ("shop", "")
    listed = json.loads(file.run("list", "--json").out)[0]["apiKeys"]
    assert listed[-1] == {"id": new.id, "role": "viewer", "name": "grafana"}


def test_a_key_for_apps_has_the_secret_that_they_need(file: File) -> None:
    connection = parse_connection_string(file.run("add-key", "shop", "--role", "app").out.strip())
    assert connection.webhook_secret in file.projects[0].webhook_secrets


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("add-key", "shop", "--role", "king"), "'king' is not one of"),
        (("add-key", "shop", "--role", "viewer", "--name", "a\nb"), "--name takes 1 to 100 printable"),
        (("add-key", "nobody", "--role", "viewer"), "has no project nobody"),
        (("remove", "nobody", "--yes"), "has no project nobody"),
        (("remove", "shop"), "say --yes to do it"),
        (("remove", "shop", "--with-jobs", "--yes"), "pass --redis-url"),
    ],
)
def test_what_cannot_be_done_is_told_and_changes_nothing(file: File, words: tuple[str, ...], said: str) -> None:
    before = file.path.read_bytes()
    told = file.run(*words)
    assert (told.status != 0, said in told.err, file.path.read_bytes() == before) == (True, True, True), told


def test_a_project_that_is_removed_leaves_its_jobs(file: File) -> None:
    told = file.run("remove", "shop", "--yes")
    assert (told.status, [project.name for project in file.projects]) == (0, ["blog"])
    assert "its jobs stay in Redis below the prefix shop" in told.err


class Left(t.NamedTuple):
    """A project that no server serves any more, with jobs, beside another one."""

    name: str
    redis_url: str
    client: redis.Redis

    def keys(self) -> list[str]:
        """Return all keys of the project."""
        return [key for key in self.client.scan_iter() if f"{self.name}:" in key.replace("}", "")]


@pytest.fixture
def left(file: File, live_nextmq_server: LiveServer) -> t.Iterator[Left]:
    url = live_nextmq_server._valkey.url
    with live_nextmq_server.project() as live:
        Queue("emails").add_bulk([{"name": "welcome", "data": None}] * 3)
        Queue("pictures").add("thumbnail", None, delay=60_000)
        project = live._service.project
    change_projects(file.path, lambda projects: (*projects, project))
    with redis.Redis.from_url(url, decode_responses=True) as client:
        yield Left(project.name, url, client)


def test_with_jobs_the_count_is_told_and_nothing_is_left(file: File, left: Left) -> None:
    neighbour = f"{left.name}0:emails:id"  # of a project whose name begins as this one's
    left.client.set(neighbour, 1)
    refused = file.run("remove", left.name, "--with-jobs", "--redis-url", left.redis_url)
    assert "for good its 4 jobs in 2 queues" in refused.err
    assert (refused.status, bool(left.keys())) == (1, True)
    told = file.run("remove", left.name, "--with-jobs", "--redis-url", left.redis_url, "--yes")
    assert (told.status, left.keys()) == (0, [])
    assert left.name not in [project.name for project in file.projects]
    assert left.client.delete(neighbour) == 1


def test_jobs_of_a_project_that_is_served_are_not_removed(file: File, live_nextmq_server: LiveServer) -> None:
    with live_nextmq_server.project() as live:
        job = Queue("emails").add("welcome", None)
        project = live._service.project
        change_projects(file.path, lambda projects: (*projects, project))
        words = ("remove", project.name, "--with-jobs", "--redis-url", live_nextmq_server._valkey.url, "--yes")
        told = file.run(*words)
        assert (told.status, "a server still serves project" in told.err) == (1, True)
        assert Queue("emails").get_job(job.id) is not None
