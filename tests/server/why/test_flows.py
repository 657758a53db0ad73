"""Why a parent does not run: which child it waits for, in which queue, and why that one does not run."""

from __future__ import annotations

import typing as t

import pytest

from tests.support.injections import CHILD_QUEUE, HOUR, QUEUE, Stage

pytestmark = pytest.mark.anyio


async def add_flow(stage: Stage, **opts: t.Any) -> tuple[str, str]:
    """Add a parent with one child. Return their ids."""
    child = {"name": "scale", "queueName": CHILD_QUEUE, "opts": opts}
    flow = {"name": "album", "queueName": QUEUE, "children": [child]}
    tree = (await stage.call("POST", "flows", {"flow": flow}))["flow"]
    return str(tree["job"]["id"]), str(tree["children"][0]["job"]["id"])


async def the_cause(stage: Stage, parent: str) -> dict[str, t.Any]:
    [cause] = await stage.why(parent)
    return cause


async def test_an_open_child_is_named_with_the_cause_that_keeps_it(stage: Stage) -> None:
    await stage.register()
    parent, child = await add_flow(stage)
    cause = await the_cause(stage, parent)
    assert cause["code"] == "children_open"
    assert f'waits for 1 child: job {child} of queue "{CHILD_QUEUE}" is waiting because' in cause["sentence"]
    assert f'queue "{CHILD_QUEUE}" has 1 waiting job and no worker' in cause["sentence"]
    assert (cause["details"]["causes"], cause["remedy"]["command"]) == (
        ["no_worker"],
        f"nextmq why {CHILD_QUEUE} {child}",
    )
    await stage.register(CHILD_QUEUE)
    await stage.until(parent, "completed")


async def test_a_failed_child_is_named_with_its_reason_and_the_parent_runs_after_its_retry(stage: Stage) -> None:
    stage.app.outcome = {"outcome": "failed", "error": {"name": "ValueError", "message": "no image"}}
    await stage.register()
    await stage.register(CHILD_QUEUE)
    parent, child = await add_flow(stage)
    await stage.until(child, "failed", CHILD_QUEUE)
    cause = await the_cause(stage, parent)
    assert cause["code"] == "child_failed"
    assert f'job {child} of queue "{CHILD_QUEUE}", which failed: ValueError: no image' in cause["sentence"]
    assert cause["remedy"]["command"] == f"nextmq retry {CHILD_QUEUE} {child}"
    stage.app.outcome = {"outcome": "completed", "returnValue": None}
    await stage.call("POST", f"queues/{CHILD_QUEUE}/jobs/{child}/retry", {"state": "failed"})
    await stage.until(parent, "completed")


async def test_a_child_that_is_gone_is_named_and_the_parent_runs_once_it_was_added_again(stage: Stage) -> None:
    await stage.register()
    await stage.register(CHILD_QUEUE)
    parent, child = await add_flow(stage, delay=HOUR)
    scripts = stage.scripts(CHILD_QUEUE)
    await stage.redis("DEL", scripts.key(child))  # as an eviction does, or a client of Redis
    await stage.redis("ZREM", scripts.keys["delayed"], child)
    cause = await the_cause(stage, parent)
    assert (cause["code"], cause["details"]["children"][0]["id"]) == ("child_missing", child)
    await stage.add(CHILD_QUEUE, jobId=child, parent={"id": parent, "queue": QUEUE})
    await stage.until(parent, "completed")


async def test_all_causes_that_keep_the_child_are_named(stage: Stage) -> None:
    await stage.register()
    parent, _ = await add_flow(stage)
    await stage.call("POST", f"queues/{CHILD_QUEUE}/pause")
    cause = await the_cause(stage, parent)
    assert cause["details"]["causes"] == ["paused", "no_worker"]
