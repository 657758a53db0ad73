"""`nextmq workers`: the registrations, and what differs from this code."""

from __future__ import annotations

import json
import sys
import types
import typing as t

import pytest

from nextmq_handler import Worker, ensure_workers_registered
from nextmq_handler.cli.main import main
from nextmq_server.testing.live import LiveNextMQ

Run = t.Callable[..., tuple[object, str]]


@pytest.fixture
def nextmq(live_nextmq: LiveNextMQ, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.setenv("NEXTMQ_APP_URL", "http://127.0.0.1:9/api/nextmq")
    ensure_workers_registered([Worker("emails", lambda job: None, concurrency=4)], release="v1")

    def run(*words: str, code: t.Sequence[Worker] = ()) -> tuple[object, str]:
        module = types.ModuleType("code_to_compare")
        vars(module)["workers"] = list(code)
        monkeypatch.setitem(sys.modules, "code_to_compare", module)
        target = ["code_to_compare:workers"] if code else []
        status: object = 0
        try:
            main(["workers", *target, *words])
        except SystemExit as exc:
            status = exc.code or 0
        return status, capsys.readouterr().out

    return run


def test_the_registrations_are_listed(nextmq: Run) -> None:
    status, out = nextmq()
    assert (status, out.split()[:2]) == (0, ["1", "worker"])
    assert out.splitlines()[-1].split()[:6] == ["emails", "http://127.0.0.1:9/api/nextmq", "4", "30.0", "s", "v1"]


def test_what_differs_from_the_code_is_told(nextmq: Run) -> None:
    status, out = nextmq(code=[Worker("emails", lambda job: None, concurrency=8), Worker("sms", lambda job: None)])
    assert status == 1
    assert "emails: this code differs: concurrency 4 → 8" in out
    assert "sms: not registered" in out


def test_the_same_code_differs_in_nothing(nextmq: Run) -> None:
    status, out = nextmq(code=[Worker("emails", lambda job: None, concurrency=4)])
    assert (status, "emails: registered as in this code" in out) == (0, True)


def test_json_has_the_registrations_and_the_differences(nextmq: Run) -> None:
    _, out = nextmq("--json", code=[Worker("emails", lambda job: None, concurrency=8)])
    told = json.loads(out)
    assert told["differences"] == {"emails": ["concurrency 4 → 8"]}
    assert told["workers"]["emails"]["options"]["concurrency"] == 4
