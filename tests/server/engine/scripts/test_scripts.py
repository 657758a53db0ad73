"""BullMQ's scripts over our connection: a script is loaded when Redis does not know it."""

from __future__ import annotations

import typing as t

import pytest

from nextmq_server.engine.scripts.scripts import QueueScripts, ScriptRunner
from nextmq_server.redis.connection import RedisError

if t.TYPE_CHECKING:
    from ...conftest import Engine

pytestmark = pytest.mark.anyio


@pytest.fixture
def runner(engine: Engine) -> ScriptRunner:
    return ScriptRunner(engine.redis, engine.keys)


async def test_every_script_that_bullmq_calls_is_known(runner: ScriptRunner) -> None:
    assert {"moveToActive", "moveToFinished", "addStandardJob", "moveJobFromActiveToWait"} <= set(runner.commands)


async def test_a_script_runs(runner: ScriptRunner, engine: Engine) -> None:
    scripts = QueueScripts(runner, "emails", engine.prefix)
    assert await scripts.run("getCounts", [scripts.keys[""]], ["wait", "failed"]) == [0, 0]


async def test_a_script_that_redis_forgot_is_loaded_again(runner: ScriptRunner, engine: Engine) -> None:
    scripts = QueueScripts(runner, "emails", engine.prefix)
    await engine.redis.execute("SCRIPT", "FLUSH", "SYNC")
    assert await scripts.run("getCounts", [scripts.keys[""]], ["wait"]) == [0]


async def test_an_error_in_a_script_is_a_redis_error(runner: ScriptRunner, engine: Engine) -> None:
    scripts = QueueScripts(runner, "emails", engine.prefix)
    await engine.redis.execute("SET", scripts.keys["wait"], "not a list")
    with pytest.raises(RedisError, match="WRONGTYPE"):
        await scripts.run("getCounts", [scripts.keys[""]], ["wait"])


async def test_the_keys_are_those_of_bullmq(runner: ScriptRunner) -> None:
    scripts = QueueScripts(runner, "emails", "bull")
    assert scripts.all_keys("wait", "meta") == ["bull:emails:wait", "bull:emails:meta"]


async def test_the_key_of_a_part_of_a_job_is_that_of_bullmq(runner: ScriptRunner) -> None:
    assert QueueScripts(runner, "emails", "bull").key("42", "lock") == "bull:emails:42:lock"
