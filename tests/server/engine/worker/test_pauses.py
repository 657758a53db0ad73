"""A queue that is paused says so, once, whichever client of BullMQ paused it."""

from __future__ import annotations

import logging
import typing as t

import pytest

from nextmq_server.engine.worker import upkeep

if t.TYPE_CHECKING:
    from ...conftest import Engine, Processor, WaitUntil

pytestmark = pytest.mark.anyio

PAUSED = "queue emails is paused: its jobs wait until it is resumed"
RESUMED = "queue emails is resumed"


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "TICK", 0.01)


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    lines = [record.getMessage() for record in caplog.records]
    return [line for line in lines if line in (PAUSED, RESUMED)]


async def pause_elsewhere(engine: Engine) -> None:
    await engine.jobs.scripts("emails").pack.pause(True)


async def pause_here(engine: Engine) -> None:
    await engine.queues.pause("emails")


@pytest.mark.parametrize("pause", [pause_here, pause_elsewhere])
@pytest.mark.parametrize("is_paused_before", [True, False])
async def test_a_pause_and_its_end_are_said_once(
    engine: Engine,
    processor: type[Processor],
    wait_until: WaitUntil,
    caplog: pytest.LogCaptureFixture,
    pause: t.Callable[[Engine], t.Awaitable[None]],
    is_paused_before: bool,
) -> None:
    caplog.set_level(logging.INFO)
    if is_paused_before:
        await pause(engine)
    await engine.run(processor(), stalled_interval=20)
    if not is_paused_before:
        await pause(engine)
    await wait_until(lambda: said(caplog))
    await engine.queues.resume("emails")
    await wait_until(lambda: len(said(caplog)) > 1)
    assert said(caplog) == [PAUSED, RESUMED]


async def test_the_concurrency_that_another_client_sets_is_bounded_by_the_workers(
    engine: Engine, processor: type[Processor], wait_until: WaitUntil
) -> None:
    await engine.run(processor(), concurrency=3, stalled_interval=20)
    scripts = engine.jobs.scripts("emails")
    await scripts.execute("HSET", "meta", "concurrency", 10)

    async def is_bounded() -> bool:
        return int(await scripts.execute("HGET", "meta", "concurrency")) == 3

    await wait_until(is_bounded)
    assert await scripts.execute("HGET", "meta", "nextmq:concurrency") == "10"
