"""A server of version 0.1 and one of now on the same Redis: beside each other, upgraded, downgraded."""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
import time
import typing as t
import zipfile
from pathlib import Path

import httpx
import pytest
import redis

from nextmq_server.embedded import EmbeddedValkey
from nextmq_server.projects.projects_file import add_project
from nextmq_server.testing.processes import ChildProcess, ProcessFailed

ROOT = Path(__file__).resolve().parents[2]
FIRST_VERSION = "6ace0c84655fce24a982958b6add15605d3c4760"
"""The last commit of version 0.1."""

REGISTRATION: dict[str, t.Any] = {
    "options": {"concurrency": 3},
    "fingerprint": "f1",
    "sdk": "nextmq-python/0.1.0",
    "schemas": None,
    "schedules": [{"id": "nightly", "pattern": "0 3 * * *", "name": "report"}],
}
TRIGGER = {"url": "https://app.example/hook", "payload": None, "repeat": {"pattern": "0 3 * * *"}}


class Server(httpx.Client):
    """A `nextmq serve` and a client of its API."""

    def __init__(self, process: ChildProcess, api_key: str) -> None:
        base_url = process.wait_for_line("NextMQ server on ").split()[3].rstrip(".")
        super().__init__(base_url=base_url, headers={"authorization": f"Bearer {api_key}"}, timeout=30)
        self.process = process

    @property
    def is_first(self) -> bool:
        """Whether it is the first version, which has no overview."""
        return self.get("/v1/overview").status_code == 404

    def stop(self) -> None:
        """Stop the server, if it runs."""
        self.close()
        self.process.stop()

    def create_trigger(self) -> str:
        """Create a trigger and return its id."""
        return str(self.post("/v1/triggers", json=TRIGGER).raise_for_status().json()["id"])

    def view(self) -> dict[str, t.Any]:
        """Return what the server tells of its project."""
        workers = self.get("/v1/workers").json()["workers"]
        return {
            "workers": {
                one["queue"]: (one["registration"]["url"], one["registration"]["options"]["concurrency"])
                for one in workers
            },
            "queues": sorted(queue["name"] for queue in self.get("/v1/queues").json()["queues"]),
            "triggers": sorted(trigger["id"] for trigger in self.get("/v1/triggers").json()["triggers"]),
        }


class Stage:
    """One project on one Valkey, and servers of both versions."""

    def __init__(self, folder: Path, valkey: EmbeddedValkey, first_version: Path) -> None:
        self.redis = redis.Redis(unix_socket_path=str(valkey.socket_path), decode_responses=True)
        self.file = folder / "projects.json"
        self.options = ("--redis-url", valkey.url, "--projects", str(self.file))
        self.project = add_project(self.file, "shop", prefix="shop")
        self._first_version = first_version
        self._servers: list[Server] = []

    def start(self, version: t.Literal["first", "now"]) -> Server:
        # -P: this folder, from which -m would take the version of now, is not on the path.
        env = {"PYTHONPATH": str(self._first_version if version == "first" else ROOT)}
        command = [sys.executable, "-P", "-m", "nextmq_server", "serve", "--port", "0", *self.options]
        process = ChildProcess([*command, "--allow-egress", "127.0.0.0/8"], env=env)
        try:
            server = Server(process, self.project.api_key)
        except ProcessFailed:
            process.kill()
            raise
        self._servers.append(server)
        assert server.is_first == (version == "first")
        return server

    def stop(self, server: Server) -> None:
        self._servers.remove(server)
        server.stop()

    def register(self, server: Server, queue: str) -> None:
        url = f"http://127.0.0.1:9/api/nextmq/queues/{queue}"
        body = {**REGISTRATION, "url": url, "secretIds": [secret.id for secret in self.project.secrets]}
        server.put(f"/v1/queues/{queue}/worker", json=body).raise_for_status()

    def own_keys(self) -> list[str]:
        """Return the server's own keys of the project, without those that end by themselves when a server ends."""
        keys = t.cast("list[str]", self.redis.keys("nextmq:*"))
        return [key for key in keys if ":wake:" not in key and not key.startswith("nextmq:server:")]

    def move_keys(self, *options: str) -> None:
        assert self._move_keys(*options).returncode == 0

    def refused_move(self) -> str:
        """Return the error of a move that must fail."""
        done = self._move_keys()
        assert done.returncode == 1
        return done.stderr

    def _move_keys(self, *options: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "nextmq_server", "projects", "move-keys", "shop", *self.options, *options]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def close(self) -> None:
        for server in self._servers:
            server.stop()
        self.redis.close()


@pytest.fixture(scope="module")
def first_version(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel of version 0.1 from its commit and unpack it."""
    folder = tmp_path_factory.mktemp("first")
    archive = subprocess.run(["git", "archive", FIRST_VERSION], cwd=ROOT, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as sources:
        sources.extractall(folder / "sources", filter="data")
    build = [sys.executable, "-m", "build", "--wheel", "--outdir", str(folder), str(folder / "sources")]
    subprocess.run(build, capture_output=True, check=True)
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        wheel.extractall(folder / "installed")
    return folder / "installed"


@pytest.fixture
def stage(tmp_path: Path, first_version: Path) -> t.Iterator[Stage]:
    valkey = EmbeddedValkey(tmp_path / "valkey")
    valkey.start()
    made = Stage(tmp_path, valkey, first_version)
    yield made
    made.close()
    valkey.stop()


def agreed_view(*servers: Server, workers: t.Collection[str]) -> dict[str, t.Any]:
    """Wait until each server tells of these workers, and all tell the same: each polls what others wrote."""
    deadline = time.monotonic() + 30
    while True:
        views = [server.view() for server in servers]
        if all(view == views[0] for view in views) and views[0]["workers"].keys() == {*workers}:
            return views[0]
        assert time.monotonic() < deadline, f"the servers never agreed: {views}"
        time.sleep(0.05)


def test_each_version_reads_what_the_other_wrote(stage: Stage) -> None:
    first = stage.start("first")
    stage.register(first, "emails")
    old_trigger = first.create_trigger()
    now = stage.start("now")
    stage.register(now, "reports")
    new_trigger = now.create_trigger()
    stage.register(first, "invoices")
    view = agreed_view(first, now, workers=["emails", "reports", "invoices"])
    assert view["triggers"] == sorted([old_trigger, new_trigger])


def test_an_idempotency_key_counts_in_both_versions(stage: Stage) -> None:
    first, now = stage.start("first"), stage.start("now")
    stage.register(first, "emails")
    headers = {"idempotency-key": "k"}
    job = {"name": "welcome", "data": None}
    ids = {
        server.post("/v1/queues/emails/jobs", json=job, headers=headers).raise_for_status().json()["id"]
        for server in (first, now)
    }
    assert len(ids) == 1


def test_after_an_upgrade_and_a_downgrade_everything_is_there(stage: Stage) -> None:
    server = stage.start("first")
    stage.register(server, "emails")
    server.create_trigger()
    before = server.view()
    stage.stop(server)

    server = stage.start("now")
    assert server.view() == before
    stage.register(server, "reports")
    server.create_trigger()
    after = server.view()
    stage.stop(server)

    assert stage.start("first").view() == after


def test_moved_keys_hold_the_same_as_before(stage: Stage) -> None:
    server = stage.start("first")
    stage.register(server, "emails")
    server.create_trigger()
    before = server.view()
    stage.stop(server)

    stage.move_keys()
    assert stage.own_keys() == [key for key in stage.own_keys() if key.startswith("nextmq:{shop}:")] != []
    server = stage.start("now")
    assert server.view() == before
    stage.stop(server)

    stage.move_keys("--back")
    assert stage.start("first").view() == before


def test_a_project_that_only_this_version_has_served_has_keys_of_one_shape(stage: Stage) -> None:
    server = stage.start("now")
    stage.register(server, "emails")
    server.create_trigger()
    server.post("/v1/queues/emails/jobs", json={"name": "welcome", "data": None}, headers={"idempotency-key": "k"})
    assert {key.partition("}")[0] for key in stage.own_keys()} == {"nextmq:{shop"}
    assert {"nextmq:{shop}:workers", "nextmq:{shop}:triggers", "nextmq:{shop}:queues"} <= {*stage.own_keys()}


def test_keys_are_not_moved_while_a_server_runs(stage: Stage) -> None:
    stage.start("now")
    assert "stop all servers" in stage.refused_move()
