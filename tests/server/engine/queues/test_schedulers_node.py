"""Node's BullMQ on the same Valkey: its job schedulers go on here, and ours go on there."""

from __future__ import annotations

import asyncio
import json
import subprocess
import typing as t

import pytest

from nextmq_handler.rules.scheduling import Template
from tests.interop.node import FOLDER, NODE, install_packages

if t.TYPE_CHECKING:
    from ...conftest import Engine, Processor, WaitUntil

pytestmark = pytest.mark.anyio

TEMPLATE = {"name": "report", "data": {"to": "ä"}, "opts": {"attempts": 3, "removeOnComplete": {"count": 50}}}


@pytest.fixture(scope="session")
def _packages() -> None:
    install_packages()


async def node(engine: Engine, command: str, argument: str) -> t.Any:
    path = str(engine.address.places[0])
    arguments = [str(NODE), "schedulers.js", path, engine.prefix, command, "emails", argument]
    done = await asyncio.to_thread(
        subprocess.run, arguments, cwd=FOLDER, capture_output=True, text=True, check=True, timeout=60
    )
    return json.loads(done.stdout)


async def upsert(engine: Engine, repeat: dict[str, t.Any]) -> None:
    template = Template("report", TEMPLATE["data"], t.cast("dict[str, t.Any]", TEMPLATE["opts"]))
    await engine.schedulers.upsert("emails", "report", repeat, template)


@pytest.mark.usefixtures("_packages")
@pytest.mark.parametrize(
    "repeat", [{"every": 50}, {"pattern": "* * * * * *", "tz": "Europe/Berlin"}], ids=["every", "pattern"]
)
async def test_a_scheduler_that_node_made_goes_on_here(
    engine: Engine, processor: type[Processor], wait_until: WaitUntil, repeat: dict[str, t.Any]
) -> None:
    process = processor()
    await engine.run(process)
    await node(engine, "upsert", json.dumps({"id": "report", "repeat": repeat, "template": TEMPLATE}))
    await wait_until(lambda: len(process.started) >= 3)
    ids = [job.id for job in process.started]
    assert len(set(ids)) == len(ids)
    assert {(job.name, json.loads(job.data)["to"], job.attempts) for job in process.started} == {
        ("report", "ä", 3)
    }


@pytest.mark.usefixtures("_packages")
@pytest.mark.parametrize(
    "repeat", [{"every": 50}, {"pattern": "* * * * * *", "tz": "Europe/Berlin"}], ids=["every", "pattern"]
)
async def test_a_scheduler_that_we_made_goes_on_there(engine: Engine, repeat: dict[str, t.Any]) -> None:
    await upsert(engine, repeat)
    ids = await node(engine, "work", "3")
    assert len(set(ids)) == 3


@pytest.mark.usefixtures("_packages")
async def test_node_sees_a_scheduler_as_we_made_it(engine: Engine) -> None:
    repeat = {"pattern": "0 8 * * 1", "tz": "Europe/Berlin", "limit": 3}
    await upsert(engine, repeat)
    seen = await node(engine, "get", "report")
    assert {name: seen[name] for name in (*repeat, "name")} == {**repeat, "name": "report"}
    assert seen["template"] == {"data": TEMPLATE["data"], "opts": TEMPLATE["opts"]}


@pytest.mark.usefixtures("_packages")
async def test_both_find_the_same_next_time(engine: Engine) -> None:
    repeat = {"pattern": "30 2 * * 0", "tz": "Europe/Berlin"}
    added = await node(engine, "upsert", json.dumps({"id": "report", "repeat": repeat, "template": TEMPLATE}))
    held = await engine.schedulers.get("emails", "report")
    await upsert(engine, repeat)
    assert held.next_job is not None
    assert added["id"] == held.next_job.id == f"repeat:report:{held.view['next']}"


@pytest.mark.usefixtures("_packages")
async def test_upserting_what_node_made_leaves_its_next_job_as_it_is(engine: Engine) -> None:
    repeat = {"every": 3_600_000, "limit": 9}
    added = await node(engine, "upsert", json.dumps({"id": "report", "repeat": repeat, "template": TEMPLATE}))
    await engine.redis.execute("HSET", engine.key(added["id"]), "mark", "same")
    await upsert(engine, repeat)
    assert await engine.field(added["id"], "mark") == "same"
