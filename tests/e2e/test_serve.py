"""`nextmq serve`: several real processes on one Valkey, stopped and killed while they work."""

from __future__ import annotations

import signal
import sys
import typing as t
from pathlib import Path

import httpx
import pytest
import redis

from nextmq_server.embedded import EmbeddedValkey
from nextmq_server.projects.projects import Project
from nextmq_server.projects.projects_file import add_project
from nextmq_server.testing.processes import ChildProcess

from .conftest import Circle


class Cluster(Circle):
    """Several servers with one project on one Valkey, and an app that uses one of them."""

    def __init__(self, folder: Path, valkey: EmbeddedValkey) -> None:
        super().__init__(folder)
        self.redis = redis.Redis(unix_socket_path=str(valkey.socket_path))
        self._redis_url = valkey.url
        self._file = folder / "projects.json"
        self.project: Project = add_project(self._file, "shop", prefix="shop")

    def serve(self) -> tuple[ChildProcess, str]:
        """Start one more server; return it and its URL."""
        options = ["--redis-url", self._redis_url, "--projects", str(self._file), "--allow-egress", "127.0.0.0/8"]
        server = ChildProcess([sys.executable, "-m", "nextmq_server", "serve", "--port", "0", *options])
        self._children.append(server)
        return server, server.wait_for_line("NextMQ server on ").split()[3].rstrip(".")

    def use(self, base_url: str) -> None:
        """Point producers and the apps that start from now on at this server."""
        self.url = self.project.connection_string(base_url)


@pytest.fixture
def cluster(tmp_path: Path) -> t.Iterator[Cluster]:
    """Return a cluster in which only Valkey runs; stop everything after the test."""
    valkey = EmbeddedValkey(tmp_path / "valkey")
    valkey.start()
    made = Cluster(tmp_path, valkey)
    yield made
    made.stop()
    made.redis.close()
    valkey.stop()


def test_sigterm_lets_deliveries_finish_and_says_that_it_is_not_ready(cluster: Cluster) -> None:
    server, base_url = cluster.serve()
    cluster.use(base_url)
    cluster.start_app()
    job = cluster.queue().add("wait")
    cluster.wait_for_starts(job.id)

    server.send_signal(signal.SIGTERM)
    server.wait_for_line("Shutting down")
    stopping = httpx.get(f"{base_url}/readyz")
    cluster.go.touch()
    server.wait_for_line("Stopped.")
    cluster.use(cluster.serve()[1])

    assert (stopping.status_code, stopping.json()["reason"]) == (503, "shutting down")
    assert (server.wait(), cluster.job(job.id).state, cluster.starts()) == (0, "completed", [job.id])


@pytest.mark.long
def test_a_second_sigterm_hands_what_runs_to_the_other_server(cluster: Cluster) -> None:
    first, base_url = cluster.serve()
    cluster.use(base_url)
    cluster.start_app()
    job = cluster.queue().add("wait")
    cluster.wait_for_starts(job.id)
    cluster.use(cluster.serve()[1])

    first.send_signal(signal.SIGTERM)
    first.wait_for_line("Shutting down")
    first.send_signal(signal.SIGTERM)
    cluster.wait_for_starts(job.id, job.id)
    cluster.go.touch()

    finished = cluster.wait_until_finished(job.id)
    assert (finished.state, finished.attempts_made) == ("completed", 1)


@pytest.mark.parametrize("starts", ["after the kill", pytest.param("before the kill", marks=pytest.mark.long)])
def test_what_a_killed_server_ran_goes_on_in_another(cluster: Cluster, starts: str) -> None:
    first, base_url = cluster.serve()
    cluster.use(base_url)
    cluster.start_app()
    job = cluster.queue().add("wait")
    cluster.wait_for_starts(job.id)
    if starts == "before the kill":
        cluster.use(cluster.serve()[1])

    first.kill()
    cluster.redis.delete(
        *cluster.redis.keys("nextmq:{shop}:instance:*")
    )  # the dead one's ends by itself 10 s later
    if starts == "after the kill":
        cluster.use(cluster.serve()[1])
    cluster.wait_for_starts(job.id, job.id)
    cluster.go.touch()

    assert cluster.wait_until_finished(job.id).state == "completed"


def test_a_worker_that_registered_with_one_server_is_served_by_another(cluster: Cluster) -> None:
    first, base_url = cluster.serve()
    _, other_url = cluster.serve()
    cluster.use(base_url)
    cluster.start_app()
    job = cluster.queue().add("echo", data="one")
    cluster.wait_until_finished(job.id)

    assert first.stop() == 0
    cluster.use(other_url)
    job = cluster.queue().add("echo", data="two")
    assert cluster.wait_until_finished(job.id).return_value == "two"
