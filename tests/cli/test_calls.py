"""Which server a command talks to, and what it says if there is none, or an older one."""

from __future__ import annotations

from pathlib import Path

import pytest

from nextmq_handler.cli.calls import ENV_FILE, Server, find_connection
from nextmq_handler.cli.failure import CommandFailed
from nextmq_server.testing.live import LiveNextMQ
from tests.cli.conftest import Run

HERE, THERE, ELSEWHERE = (f"nextmq+http://key:whsec_hunter2@127.0.0.1:{port}/shop" for port in (1, 2, 3))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder with the file of `nextmq dev`, and without NEXTMQ_URL."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NEXTMQ_URL", raising=False)
    (tmp_path / ENV_FILE).parent.mkdir()
    (tmp_path / ENV_FILE).write_text(f"# of nextmq dev\nNEXTMQ_URL={HERE}\n")
    (tmp_path / ENV_FILE).chmod(0o600)
    return tmp_path


def test_the_server_is_that_of_the_folder(folder: Path) -> None:
    assert find_connection(None).base_url == "http://127.0.0.1:1"


@pytest.mark.usefixtures("folder")
def test_the_variable_comes_before_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEXTMQ_URL", THERE)
    assert find_connection(None).base_url == "http://127.0.0.1:2"


@pytest.mark.usefixtures("folder")
def test_the_option_comes_before_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEXTMQ_URL", THERE)
    assert find_connection(ELSEWHERE).base_url == "http://127.0.0.1:3"


def test_a_file_that_others_can_read_is_refused(folder: Path, nextmq: Run) -> None:
    (folder / ENV_FILE).chmod(0o644)
    ran = nextmq("limits", "emails")
    assert (ran.status, ran.err.count("\n"), "chmod 600" in ran.err) == (2, 1, True)


def test_without_a_server_a_command_says_how_to_start_one(folder: Path, nextmq: Run) -> None:
    (folder / ENV_FILE).unlink()
    ran = nextmq("limits", "emails")
    assert (ran.status, ran.out, "nextmq dev" in ran.err) == (3, "", True)


@pytest.mark.usefixtures("folder")
def test_a_server_that_does_not_answer_is_one_line_without_the_key_and_exits_3(nextmq: Run) -> None:
    ran = nextmq("limits", "emails")
    assert (ran.status, ran.out) == (3, "")
    assert ran.err.startswith("nextmq: no server answers at http://127.0.0.1:1 (")
    assert ran.err.endswith("): start one with nextmq dev\n")


@pytest.mark.parametrize("url", ["", "http://example.com", "nextmq+http://key:hunter2@127.0.0.1:1/", "nextmq://["])
def test_a_wrong_connection_string_exits_2_and_is_not_repeated(url: str, nextmq: Run) -> None:
    ran = nextmq("limits", "emails", "--url", url)
    assert (ran.status, ran.err.startswith("nextmq: --url "), "hunter2" in ran.err) == (2, True, False)


def test_an_older_server_is_named_with_the_route_that_it_lacks(live: LiveNextMQ) -> None:
    with pytest.raises(CommandFailed, match=r"is older than this command .* no GET /v1/of/tomorrow"):
        Server(live.url).get("of", "tomorrow")


def test_a_refusal_of_the_server_is_its_message_alone(live: LiveNextMQ, nextmq: Run) -> None:
    ran = nextmq("promote", "emails", "17")
    assert (ran.status, ran.err) == (1, "nextmq: queue emails has no job 17\n")


def test_a_wrong_key_exits_1_and_is_not_repeated(live: LiveNextMQ, nextmq: Run) -> None:
    host = live.url.rpartition("@")[2]
    ran = nextmq("limits", "emails", "--url", f"nextmq+http://hunter2@{host}")
    assert (ran.status, ran.err.count("\n"), "hunter2" in ran.err) == (1, 1, False)


def test_text_of_a_server_cannot_break_the_line(nextmq: Run, live: LiveNextMQ) -> None:
    ran = nextmq("promote", "emails", "17\nnextmq: all is well\x1b[31m")
    assert (ran.err.count("\n"), "\x1b" in ran.err) == (1, False)
