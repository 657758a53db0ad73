"""`nextmq dev` and its command line as real processes; only a few, because each takes a second to start."""

from __future__ import annotations

import contextlib
import shlex
import signal
import socket
import subprocess
import sys
import typing as t
from pathlib import Path

import httpx
import pytest

from nextmq_handler._package import __version__
from nextmq_handler.errors import ConfigurationError
from nextmq_handler.settings import ServerConnection, parse_connection_string
from nextmq_server.cli.dev import host_of
from nextmq_server.embedded import EmbeddedValkey
from nextmq_server.projects.projects import Project, load_or_create_project
from nextmq_server.testing.processes import ChildProcess
from tests.support.api import COUNTS, JOBS, WORKER, registration

NEXTMQ = str(Path(sys.executable).parent / "nextmq")
MODULE = [sys.executable, "-m", "nextmq_server"]


class Dev(t.NamedTuple):
    """A running `nextmq dev` on a free port."""

    process: ChildProcess
    data_dir: Path

    @property
    def connection(self) -> ServerConnection:
        (line,) = (line for line in self.process.lines if "NEXTMQ_URL=" in line)
        return parse_connection_string(line.partition("NEXTMQ_URL=")[2].strip())

    @property
    def project(self) -> Project:
        return load_or_create_project(self.data_dir / "project.json", "dev")

    def call(self, method: str, path: str, **content: t.Any) -> httpx.Response:
        """Call the API with the key of the banner."""
        connection = self.connection
        headers = {"authorization": f"Bearer {connection.api_key}"}
        return httpx.request(method, connection.base_url + path, headers=headers, **content)


@contextlib.contextmanager
def running(data_dir: Path, *options: str, stderr: Path | None = None) -> t.Generator[Dev]:
    """Run `nextmq dev`, ready. Its stderr goes to a file if given, otherwise to the lines of the process."""
    command = [*MODULE, "dev", "--port", "0", "--data-dir", str(data_dir), *options]
    if stderr is not None:
        command = ["/bin/sh", "-c", 'exec "$@" 2>"$0"', str(stderr), *command]
    process = ChildProcess(command)
    try:
        process.wait_for_line("Deliveries:")
        yield Dev(process, data_dir)
    finally:
        process.stop()


def run(*command: str) -> subprocess.CompletedProcess[str]:
    """Run a command that ends by itself."""
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def run_dev(data_dir: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run a `nextmq dev` that cannot start."""
    return run(*MODULE, "dev", "--port", "0", "--data-dir", str(data_dir), *options)


def send_as_printed(curl: str) -> httpx.Response:
    """Send what a printed curl line sends; return the answer."""
    program, url, *rest = shlex.split(curl)
    assert program == "curl", curl
    options = list(zip(rest[::2], rest[1::2], strict=True))
    headers = dict(value.split(": ", 1) for name, value in options if name == "-H")
    (body,) = (value for name, value in options if name == "-d")
    return httpx.post(url, headers=headers, content=body)


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Dev]:
    """Run the server that most tests share."""
    with running(tmp_path_factory.mktemp("dev") / "data") as dev:
        yield dev


@pytest.fixture(scope="module")
def refused_second(dev: Dev) -> subprocess.CompletedProcess[str]:
    """Run another server on the same data folder."""
    return run_dev(dev.data_dir)


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory: pytest.TempPathFactory) -> ChildProcess:
    """Run a server with --fsync always and interrupt it with Ctrl-C."""
    with running(tmp_path_factory.mktemp("interrupted"), "--fsync", "always") as dev:
        dev.process.send_signal(signal.SIGINT)
        dev.process.wait_for_line("Stopped.")
        dev.process.wait()
    return dev.process


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory, valkey: EmbeddedValkey) -> t.Iterator[Dev]:
    """Run a server on IPv6 and on an external Redis."""
    options = ["--host", "::1", "--redis-url", valkey.url]
    with running(tmp_path_factory.mktemp("elsewhere"), *options) as dev:
        yield dev


@pytest.fixture(scope="module")
def unreachable(tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    """Run a server whose Redis cannot be reached."""
    return run_dev(tmp_path_factory.mktemp("unreachable"), "--redis-url", "redis://user:hunter2@127.0.0.1:1")


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], Project]:
    """Return the project and the log of a server that warned of a job, registered a worker and held its queue."""
    folder = tmp_path_factory.mktemp("logged")
    with running(folder / "data", stderr=folder / "log") as dev:
        url = dev.connection.base_url + COUNTS
        httpx.get(url, headers={"authorization": f"Bearer {dev.connection.api_key}0"})
        dev.call("POST", JOBS, json={"name": "welcome"})
        dev.call("PUT", WORKER, json=registration(dev.project))
        dev.process.wait_for_line("held")
    return (folder / "log").read_text().splitlines(), dev.project


@pytest.mark.parametrize("command", [[NEXTMQ], MODULE], ids=["nextmq", "python -m nextmq_server"])
def test_the_version_is_printed(command: list[str]) -> None:
    assert run(*command, "--version").stdout == f"nextmq {__version__}\n"


def test_the_connection_string_of_the_banner_opens_the_api(dev: Dev) -> None:
    assert dev.call("GET", COUNTS).status_code == 200


def test_the_connection_string_of_the_banner_has_the_projects_secret(dev: Dev) -> None:
    assert (dev.connection.webhook_secret,) == dev.project.webhook_secrets


def test_the_banner_names_the_data_folder_and_the_fsync_policy(dev: Dev) -> None:
    start_of_line = f"Jobs are kept in {dev.data_dir}/valkey (Valkey, appendfsync everysec: "
    assert dev.process.lines[0].startswith(start_of_line)


def test_another_host_than_this_machine_is_refused(dev: Dev) -> None:
    answer = httpx.get(f"{dev.connection.base_url}/docs", headers={"host": "evil.example"})
    assert (answer.status_code, answer.json()["error"]) == (421, "unknown_host")


def test_the_page_with_the_routes_needs_no_key(dev: Dev) -> None:
    assert httpx.get(f"{dev.connection.base_url}/docs").status_code == 200


@pytest.mark.parametrize("url", ["dev.example", "ftp://dev.example", "http://", "http://a:b", "http://a/path"])
def test_a_url_that_is_not_one_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="--url is not a URL"):
        host_of(url)


@pytest.mark.parametrize("url", ["http://host.docker.internal:7410", "https://Host.Docker.Internal/"])
def test_the_host_of_a_url_is_known(url: str) -> None:
    assert host_of(url) == "host.docker.internal"


def test_the_banner_names_the_socket_for_bullmq_clients(dev: Dev) -> None:
    line = f"  BullMQ clients connect to {dev.data_dir}/valkey/valkey.sock, prefix 'bull'\n"
    assert line in dev.process.lines


def test_the_curl_line_of_the_banner_adds_a_job(dev: Dev) -> None:
    (curl,) = (line for line in dev.process.lines if line.startswith("  curl "))
    answer = send_as_printed(curl)
    assert (answer.status_code, answer.json()["data"]) == (201, {"to": "a@example.com"})


def test_data_folder_and_project_are_for_their_owner_only(dev: Dev) -> None:
    paths = (dev.data_dir, dev.data_dir / "project.json")
    assert [path.stat().st_mode & 0o777 for path in paths] == [0o700, 0o600]


def test_the_data_folder_is_kept_out_of_git(dev: Dev) -> None:
    assert (dev.data_dir / ".gitignore").read_text() == "*\n"


def test_a_registration_that_differs_takes_over(dev: Dev) -> None:
    url = "/v1/queues/replaced/worker"
    dev.call("PUT", url, json=registration(dev.project))
    answer = dev.call("PUT", url, json=registration(dev.project, options={"concurrency": 2}))
    assert answer.json()["options"]["concurrency"] == 2


def test_a_second_server_on_the_data_folder_exits_1(refused_second: subprocess.CompletedProcess[str]) -> None:
    assert refused_second.returncode == 1


def test_a_second_server_on_the_data_folder_is_told_the_option_to_use(
    refused_second: subprocess.CompletedProcess[str],
) -> None:
    assert "--data-dir" in refused_second.stderr


@pytest.mark.usefixtures("refused_second")
def test_a_refused_second_server_leaves_the_first_alone(dev: Dev) -> None:
    assert dev.call("GET", COUNTS).status_code == 200


def test_ctrl_c_exits_0(interrupted: ChildProcess) -> None:
    assert interrupted.wait() == 0


def test_after_ctrl_c_the_last_line_says_that_it_stopped(interrupted: ChildProcess) -> None:
    assert interrupted.lines[-1] == "Stopped.\n"


def test_the_fsync_option_is_in_the_banner(interrupted: ChildProcess) -> None:
    assert "(Valkey, appendfsync always: " in interrupted.lines[0]


def test_the_connection_string_for_ipv6_opens_the_api(elsewhere: Dev) -> None:
    assert elsewhere.call("GET", COUNTS).status_code == 200


def test_with_another_redis_the_banner_says_that_jobs_are_there(elsewhere: Dev) -> None:
    assert elsewhere.process.lines[0] == "Jobs are kept in the Redis of --redis-url\n"


def test_with_another_redis_no_valkey_is_started(elsewhere: Dev) -> None:
    assert not (elsewhere.data_dir / "valkey").exists()


def test_an_unreachable_redis_exits_1(unreachable: subprocess.CompletedProcess[str]) -> None:
    assert unreachable.returncode == 1


def test_an_unreachable_redis_is_told_in_one_line(unreachable: subprocess.CompletedProcess[str]) -> None:
    said = "cannot reach Redis at redis://127.0.0.1:1/0: Connection refused; is it running, and is"
    assert unreachable.stderr == f"nextmq dev: {said} --redis-url right?\n"


def test_the_password_of_redis_url_is_not_repeated(unreachable: subprocess.CompletedProcess[str]) -> None:
    assert "hunter2" not in unreachable.stdout + unreachable.stderr


def test_a_taken_port_exits_1_and_names_the_option_to_use(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        refused = run_dev(tmp_path, "--port", port)
    said = f"port {port} of 127.0.0.1 is taken: is another nextmq dev running? Choose one with --port"
    assert (refused.returncode, refused.stderr) == (1, f"nextmq dev: {said}\n")


@pytest.mark.parametrize("host", ["0.0.0.0", "127.0.0.1.example.com"])
def test_a_host_that_is_not_this_machine_exits_1_and_is_named(tmp_path: Path, host: str) -> None:
    refused = run_dev(tmp_path, "--host", host)
    said = f"--host {host} is not a loopback address: nextmq dev speaks plain HTTP, for this machine only"
    assert (refused.returncode, refused.stderr) == (1, f"nextmq dev: {said}\n")


def test_the_log_on_stderr_has_one_line_for_each_event(logged: tuple[list[str], Project]) -> None:
    lines, _ = logged
    assert [line.split(" ", 2)[1] for line in lines] == ["WARNING", "WARNING", "INFO", "ERROR"]


def test_the_log_on_stderr_holds_neither_key_nor_secret(logged: tuple[list[str], Project]) -> None:
    lines, project = logged
    assert [text for text in (project.api_key, *project.webhook_secrets) if text in "\n".join(lines)] == []
