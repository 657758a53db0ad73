"""A Redis that stops answering under the engine: then all goes on at once, nothing runs twice, two lines tell."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import re
import signal
import typing as t

import pytest

from nextmq_server.engine.worker import upkeep
from nextmq_server.engine.worker.options import RunnerOptions
from nextmq_server.redis import connection, primary, silence
from nextmq_server.redis.connection import ConnectionLost

if t.TYPE_CHECKING:
    from nextmq_server.embedded import EmbeddedValkey

    from ...conftest import Engine, Processor, WaitUntil

pytestmark = pytest.mark.anyio

LOCK = 300
"""The life (ms) of the locks here: shorter than the silence."""


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(silence, "LOOK_INTERVAL", 0.1)
    monkeypatch.setattr(silence, "SILENCE_LIMIT", 0.5)
    monkeypatch.setattr(primary, "PLACE_TIMEOUT", 0.3)
    monkeypatch.setattr(connection, "MAX_RETRY_DELAY", 0.1)
    # Neither the regular looks nor a marker may help.
    monkeypatch.setattr(upkeep, "SWEEP_INTERVAL", 3600.0)
    monkeypatch.setattr(upkeep, "HEARTBEAT_LIFE", 3600.0)


@contextlib.contextmanager
def stopped(valkey: EmbeddedValkey) -> t.Iterator[None]:
    """Keep Valkey from answering."""
    assert valkey.pid is not None
    os.kill(valkey.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(valkey.pid, signal.SIGCONT)


async def until_left(engine: Engine) -> None:
    """Wait until the silence was noticed."""
    with pytest.raises(ConnectionLost):
        await engine.redis.execute("PING")


# Each queue: its concurrency, its jobs, and when its verdicts come.
QUEUES = [
    (concurrency, jobs, moment)
    for concurrency in (1, 2, 5, 20)
    for jobs in (1, 7)
    for moment in ("before", "during", "after")
]


def options(concurrency: int) -> RunnerOptions:
    return RunnerOptions(
        concurrency=concurrency, lock_duration=LOCK, stalled_interval=3_600_000, max_stalled_count=0
    )


def has_started(process: Processor, jobs: int) -> bool:
    return process.running == jobs


async def test_each_job_that_ran_while_redis_was_silent_is_finished_once(
    own_engine: Engine, own_valkey: EmbeddedValkey, processor: type[Processor], wait_until: WaitUntil
) -> None:
    hub = await own_engine.start_hub()
    processors: dict[str, Processor] = {}
    for number, (concurrency, _, _) in enumerate(QUEUES):
        process = processors[f"q{number}"] = processor()
        process.gate.clear()
        await hub.add(f"q{number}", options(concurrency), process)
    ids: dict[str, list[str]] = {}
    for name, (concurrency, jobs, _) in zip(processors, QUEUES, strict=True):
        ids[name] = [await own_engine.add(queue=name) for _ in range(jobs)]
        await wait_until(functools.partial(has_started, processors[name], min(concurrency, jobs)))

    def open_gates(moment: str) -> None:
        for process, (_, _, opens) in zip(processors.values(), QUEUES, strict=True):
            if opens == moment:
                process.gate.set()

    with stopped(own_valkey):
        open_gates("before")
        await until_left(own_engine)
        open_gates("during")
    await own_engine.redis.ready()
    open_gates("after")
    for name, added in ids.items():
        for job_id in added:
            await own_engine.until_state(job_id, "completed", queue=name)
        assert [job.id for job in processors[name].started] == added


async def test_slots_are_free_again_as_soon_as_redis_answers(
    own_engine: Engine, own_valkey: EmbeddedValkey, processor: type[Processor], wait_until: WaitUntil
) -> None:
    process = processor()
    process.gate.clear()
    await own_engine.run(process, concurrency=3, lock_duration=LOCK, stalled_interval=3_600_000)
    for _ in range(3):
        await own_engine.add()
    await wait_until(lambda: process.running == 3)
    with stopped(own_valkey):
        await until_left(own_engine)
        process.gate.set()
    await own_engine.redis.ready()
    assert await own_engine.until_state(await own_engine.add(), "completed")


async def test_a_silence_is_one_line_and_its_end_another(
    own_engine: Engine,
    own_valkey: EmbeddedValkey,
    processor: type[Processor],
    wait_until: WaitUntil,
    caplog: pytest.LogCaptureFixture,
) -> None:
    process = processor()
    process.gate.clear()
    await own_engine.run(process, concurrency=20, lock_duration=LOCK)
    ids = [await own_engine.add() for _ in range(20)]
    await wait_until(lambda: process.running == 20)
    with stopped(own_valkey):
        await until_left(own_engine)
        process.gate.set()
    await own_engine.redis.ready()
    for job_id in ids:
        await own_engine.until_state(job_id, "completed")
    lines = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    silent, *tries, back = (line.replace(str(own_engine.address), "HERE") for line in lines)
    assert re.fullmatch(r"Redis at HERE has not answered for \d\.\d s: connecting again", silent)
    assert set(tries) <= {"cannot connect to Redis at HERE, trying again: no answer"}
    assert back == "connected to Redis at HERE again"
