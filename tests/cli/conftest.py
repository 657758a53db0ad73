"""A way to run the `nextmq` command in this process, and a real server for it."""

from __future__ import annotations

import json
import typing as t

import pytest

from nextmq_handler.cli.main import main
from nextmq_server.testing.live import LiveNextMQ, LiveServer


class Ran(t.NamedTuple):
    """A command that has ended: its exit code and what it printed."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> t.Any:
        return json.loads(self.out)


Run = t.Callable[..., Ran]


@pytest.fixture
def nextmq(capsys: pytest.CaptureFixture[str]) -> Run:
    """Give a function that runs the command and returns how it ended."""

    def run(*words: str) -> Ran:
        capsys.readouterr()
        status = 0
        try:
            main(words)
        except SystemExit as exc:
            status = int(exc.code or 0)
        return Ran(status, *capsys.readouterr())

    return run


@pytest.fixture
def live(live_nextmq_server: LiveServer) -> t.Iterator[LiveNextMQ]:
    """Give a new project without workers on a real server; NEXTMQ_URL is its connection string."""
    with live_nextmq_server.project() as project:
        yield project
