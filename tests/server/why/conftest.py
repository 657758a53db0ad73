"""The stage of the injections: a service, its API, and an app that is not registered."""

from __future__ import annotations

import typing as t

import httpx
import pytest

from nextmq_server.embedded import EmbeddedValkey
from nextmq_server.projects.projects import Project
from nextmq_server.service import Service
from tests.support.injections import Stage

if t.TYPE_CHECKING:
    from ..conftest import App, WaitUntil


@pytest.fixture
async def stage(
    api: httpx.AsyncClient,
    service: Service,
    project: Project,
    app: App,
    valkey: EmbeddedValkey,
    wait_until: WaitUntil,
) -> t.AsyncIterator[Stage]:
    """Give the stage; open the app's gate at the end."""
    stage = Stage(api, service, project, app, valkey.url, wait_until)
    yield stage
    app.gate.set()
    for connection in stage.connections:
        await connection.close()
