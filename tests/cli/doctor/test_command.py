"""`nextmq doctor` as a command: its marks, its JSON, its exit codes, what a key of little rights gets."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest

from nextmq_handler import Worker, _overrides
from nextmq_handler.cli.main import main
from nextmq_handler.settings import parse_connection_string
from nextmq_server.projects.roles import Role
from nextmq_server.projects.rotation import with_key_of
from nextmq_server.testing.live import LiveNextMQ, LiveServer

Doctor = t.Callable[..., tuple[object, str]]


@pytest.fixture
def live(live_nextmq_server: LiveServer) -> t.Iterator[LiveNextMQ]:
    with live_nextmq_server.project([Worker("emails", lambda job: None)]) as project:
        yield project


@pytest.fixture
def doctor(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Doctor:
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> tuple[object, str]:
        status: object = 0
        try:
            main(["doctor", *words])
        except SystemExit as exc:
            status = exc.code or 0
        return status, capsys.readouterr().out

    return run


def test_a_good_setup_exits_0_with_a_mark_for_each_check(doctor: Doctor, live: LiveNextMQ) -> None:
    status, out = doctor("--url", live.url)
    assert (status, "✗" in out) == (0, False)
    assert {"✓ settings", "✓ clock", "✓ key", "✓ secret", "✓ worker", "✓ endpoint"} <= {
        " ".join(line.split()[:2]) for line in out.splitlines()
    }


def test_what_is_wrong_exits_1_with_the_fix_below(doctor: Doctor, live: LiveNextMQ) -> None:
    status, out = doctor("--url", live.url + "0")
    *_, wrong, fix = out.splitlines()
    assert (status, wrong[:5], fix.strip()[:4]) == (1, "✗ key", "copy")


def test_json_has_the_same(doctor: Doctor, live: LiveNextMQ) -> None:
    status, out = doctor("--url", live.url + "0", "--json")
    told = json.loads(out)
    assert (status, told["isOk"], told["findings"][-1]["check"]) == (1, False, "key")
    assert [*told["findings"][-1]] == ["check", "isOk", "text", "fix"]


def test_neither_key_nor_secret_is_printed(doctor: Doctor, live: LiveNextMQ) -> None:
    connection = parse_connection_string(live.url)
    for url in (live.url, live.url + "0", live.url.replace("nmq_", "nmq_0")):
        _, out = doctor("--url", url, "--json")
        assert [one for one in (connection.api_key[4:], connection.webhook_secret) if one in out] == []


def test_the_key_of_an_app_checks_what_it_may(doctor: Doctor, live: LiveNextMQ) -> None:
    project = with_key_of(live._service.project, Role.APP, None)
    live._service.credentials.rotate(project)
    base_url = parse_connection_string(live.url).base_url
    status, out = doctor("--url", project.connection_string(base_url, project.keys[-1]))
    assert (status, "– queue" in out, "✓ endpoint" in out) == (0, True, True)


def test_variables_of_the_folders_nextmq_dev_are_used(doctor: Doctor, live: LiveNextMQ, tmp_path: Path) -> None:
    file = tmp_path / ".nextmq" / "env"
    file.parent.mkdir()
    file.touch(0o600)
    file.write_text(f"NEXTMQ_URL={live.url}\n")
    with pytest.MonkeyPatch.context() as patch:  # undone before the variables of `live` are
        patch.delenv("NEXTMQ_URL")
        patch.delenv("NEXTMQ_APP_URL")
        patch.setattr(_overrides, "url", None)
        status, out = doctor()
    assert (status, out.startswith("✓ settings  .nextmq/env: project")) == (0, True)
