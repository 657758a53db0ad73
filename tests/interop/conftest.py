"""Our server with an app, on the Valkey that Node's BullMQ uses too."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from nextmq_server.testing.processes import start_dev_server

from .app import App
from .node import FOLDER, install_packages


class Both(t.NamedTuple):
    """Our app with its server, and the socket of the Valkey that the server uses."""

    app: App
    redis_socket: Path


@pytest.fixture(scope="session")
def node_bullmq() -> Path:
    """Install Node's bullmq and return its folder."""
    install_packages()
    return FOLDER / "node_modules" / "bullmq"


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Both]:
    """Start a server, with an app that has no worker yet."""
    folder = tmp_path_factory.mktemp("interop")
    server, url = start_dev_server(folder)
    app = App(url)
    app.start()
    yield Both(app, folder / "valkey" / "valkey.sock")
    app.stop()
    server.stop()
