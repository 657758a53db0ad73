"""Results of jobs that Node's BullMQ ran and did not keep: the event with which a job ended has its result."""

from __future__ import annotations

import asyncio
import subprocess
import typing as t

import pytest

from nextmq_handler.rules.results import JobResult
from nextmq_server.engine.events import results as engine_results
from nextmq_server.engine.events.results import Results
from nextmq_server.engine.queues.jobs import NoSuchJob
from tests.interop.node import FOLDER, NODE, install_packages
from tests.support.event_rig import Rig, running

if t.TYPE_CHECKING:
    from ...conftest import Engine, WaitUntil

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("_packages")]

WAIT = 30_000
VALUES: list[t.Any] = [
    None,
    0,
    1.5,
    -1,
    "",
    "é",
    "a\nb",
    "😀" * 100,
    [],
    [1, [None]],
    {},
    {"a": {"b": 1}},
    True,
    False,
]
REASONS = ["no such address", "", "é😀", "a: b\nc", "x" * 1000, "{}", "null"]
NOT_KEPT: t.Any = {"removeOnComplete": True, "removeOnFail": True}


@pytest.fixture(scope="session")
def _packages() -> None:
    install_packages()


async def node(engine: Engine, count: int) -> None:
    """Let Node run so many jobs."""
    socket = engine.address.places[0].path
    assert socket is not None
    command = [str(NODE), "finishing.js", socket, engine.prefix, "emails", str(count)]
    await asyncio.to_thread(subprocess.run, command, cwd=FOLDER, check=True, timeout=60)


async def add_all(engine: Engine, **opts: t.Any) -> list[str]:
    endings = [{"returns": value} for value in VALUES] + [{"fails": reason} for reason in REASONS]
    return [await engine.add(ending, **NOT_KEPT, **opts) for ending in endings]


def endings(results: t.Sequence[JobResult]) -> list[t.Any]:
    return [
        result["returnValue"] if result["state"] == "completed" else result["failedReason"] for result in results
    ]


async def test_who_waits_for_a_job_that_node_runs_gets_its_result(
    engine: Engine, wait_until: WaitUntil, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks, look = list[str](), engine_results._look

    async def noted(scripts: t.Any, job_id: str, **since: str) -> engine_results.Look:
        looks.append(job_id)
        return await look(scripts, job_id, **since)

    monkeypatch.setattr(engine_results, "_look", noted)
    async with running(engine) as rig:
        results, ids = Results(engine.jobs, rig.hub), await add_all(engine)
        waits = [asyncio.create_task(results.get("emails", id, wait=WAIT)) for id in ids]
        await wait_until(lambda: len(looks) == len(ids))
        await node(engine, len(ids))
        assert endings(await asyncio.gather(*waits)) == VALUES + REASONS


@pytest.mark.parametrize("wait", [0, WAIT])
async def test_who_comes_after_node_ran_the_job_gets_its_result(engine: Engine, wait: int) -> None:
    async with running(engine) as rig:
        results, ids = Results(engine.jobs, rig.hub), await add_all(engine)
        await node(engine, len(ids))
        found = [await results.get("emails", id, wait=wait) for id in ids]
        assert endings(found) == VALUES + REASONS


class Other:
    """Another client of BullMQ: what it does with the job "a" of a queue that ran it and did not keep it."""

    def __init__(self, rig: Rig) -> None:
        self.engine = rig.engine
        self.scripts = rig.engine.jobs.scripts("emails")
        self._emit = rig.emit

    async def finishes(self) -> None:
        await self.scripts.connection.execute("DEL", self.scripts.key("a"))
        await self._emit("completed", jobId="a", returnvalue='"first"', prev="active")

    async def adds_again(self) -> None:
        await self.engine.add(jobId="a", delay=600_000, **NOT_KEPT)

    async def drains(self) -> None:
        await self.scripts.pack.drain(True)

    async def removes(self) -> None:
        await self.scripts.pack.remove("a", True)

    async def cleans(self) -> None:
        await self.scripts.pack.cleanJobsInSet("delayed", -1, 0)
        await self._emit("cleaned", count="1")

    async def trims_events(self) -> None:
        await self.scripts.execute("XTRIM", "events", "MAXLEN", 0)

    async def adds_others(self) -> None:
        for _ in range(engine_results.LOOK_BACK):
            await self._emit("waiting", jobId="b")


GONE: list[tuple[str, ...]] = [
    (),
    ("adds_again", "drains"),
    ("adds_again", "removes"),
    ("adds_again", "cleans"),
    ("finishes", "adds_again", "drains"),
    ("finishes", "adds_again", "removes"),
    ("finishes", "adds_again", "cleans"),
    ("finishes", "trims_events"),
    ("finishes", "cleans"),
    ("finishes", "adds_others"),
]


@pytest.mark.parametrize("acts", GONE, ids="-".join)
async def test_a_job_that_did_not_just_end_has_no_result(engine: Engine, acts: tuple[str, ...]) -> None:
    async with running(engine) as rig:
        other = Other(rig)
        for act in acts:
            await getattr(other, act)()
        with pytest.raises(NoSuchJob):
            await Results(engine.jobs, rig.hub).get("emails", "a", wait=0)


async def test_who_waits_for_a_job_gets_its_result_though_another_has_its_id_by_now(
    engine: Engine, wait_until: WaitUntil, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks, look = list[str](), engine_results._look

    async def noted(scripts: t.Any, job_id: str, **since: str) -> engine_results.Look:
        looks.append(job_id)
        if len(looks) == 2:  # it was woken by the end of the first job
            await other.adds_again()
        return await look(scripts, job_id, **since)

    async with running(engine) as rig:
        other = Other(rig)
        await other.adds_again()
        monkeypatch.setattr(engine_results, "_look", noted)
        waiting = asyncio.create_task(Results(engine.jobs, rig.hub).get("emails", "a", wait=WAIT))
        await wait_until(lambda: looks)
        await wait_until(rig.is_reading)
        await other.finishes()
        assert (await waiting)["returnValue"] == "first"


async def test_who_waits_for_a_job_gets_no_result_of_an_earlier_one(engine: Engine, wait_until: WaitUntil) -> None:
    async with running(engine) as rig:
        other = Other(rig)
        await other.adds_again()
        await other.finishes()
        await other.adds_again()
        assert (await Results(engine.jobs, rig.hub).get("emails", "a", wait=1))["state"] == "delayed"
