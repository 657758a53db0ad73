"""The pytest fixture `live_nextmq`: a real server for tests. Nothing is imported before a test uses it."""

from __future__ import annotations

import typing as t

import pytest

if t.TYPE_CHECKING:
    from nextmq_handler import Worker

    from .live import LiveNextMQ, LiveServer


@pytest.fixture(scope="session")
def live_nextmq_server(tmp_path_factory: pytest.TempPathFactory) -> t.Generator[LiveServer]:
    """Run a server with an embedded Valkey on a free port: one per test run, or one per process of xdist."""
    try:
        from .live import LiveServer
    except ImportError as exc:
        raise pytest.UsageError(
            f'live_nextmq runs a real server: pip install "nextmq-handler[server]" ({exc})'
        ) from exc
    with LiveServer(tmp_path_factory.mktemp("nextmq")) as server:
        yield server


@pytest.fixture
def live_nextmq(live_nextmq_server: LiveServer, nextmq_workers: t.Collection[Worker]) -> t.Generator[LiveNextMQ]:
    """Make a new project on the live server and run the app's workers."""
    with live_nextmq_server.project(nextmq_workers) as project:
        yield project
