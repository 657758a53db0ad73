"""The last delivery of a queue reaches every server process, without a write for each delivery."""

from __future__ import annotations

import typing as t

import pytest

from nextmq_server.overview.last_deliveries import read_last_delivery
from tests.support.injections import QUEUE, Stage

if t.TYPE_CHECKING:
    import httpx

    from nextmq_server.embedded import EmbeddedValkey
    from nextmq_server.projects.projects import Project
    from nextmq_server.service import Service

    from ..conftest import App, WaitUntil

pytestmark = pytest.mark.anyio


async def test_the_last_delivery_is_shown_and_goes_with_the_queue(
    api: httpx.AsyncClient,
    service: Service,
    project: Project,
    app: App,
    valkey: EmbeddedValkey,
    wait_until: WaitUntil,
) -> None:
    stage = Stage(api, service, project, app, valkey.url, wait_until)

    async def shown() -> dict[str, t.Any] | None:
        found: dict[str, t.Any] = await stage.call("GET", f"queues/{QUEUE}")
        return t.cast("dict[str, t.Any] | None", found["lastDelivery"])

    await stage.register()
    assert await shown() is None
    await stage.run_one()
    await wait_until(shown)
    last = await shown()
    assert last is not None
    assert (last["status"], last["outcome"], set(last)) == (200, "completed", {"at", "status", "ms", "outcome"})
    await stage.call("POST", f"queues/{QUEUE}/obliterate", {"force": True})
    assert await shown() is None


@pytest.mark.parametrize("text", [None, "", "{", "[]", "1", '{"at":1}'])
def test_what_cannot_be_read_is_not_a_delivery(text: str | None) -> None:
    assert read_last_delivery(text) is None
