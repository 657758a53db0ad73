"""Job schedulers in the engine: they go on whatever becomes of a run, never twice; upserting moves no times."""

from __future__ import annotations

import time
import typing as t

import pytest
import redis.asyncio

from nextmq_handler.protocol.outcomes import Completed, Failed, RateLimited
from nextmq_handler.rules.cron import InvalidSchedule
from nextmq_handler.rules.scheduling import Template
from nextmq_server.engine.queues.job import EngineJob
from nextmq_server.engine.queues.scheduling import NotAdvanced, advance
from nextmq_server.engine.scripts.scripts import fields_of, pack
from nextmq_server.engine.verdicts import Hold, Verdict
from nextmq_server.engine.worker import upkeep
from nextmq_server.redis.connection import RedisError

if t.TYPE_CHECKING:
    from nextmq_server.embedded import EmbeddedValkey
    from nextmq_server.engine.queues.schedulers import SchedulerState

    from ...conftest import Engine, Processor, WaitUntil

pytestmark = pytest.mark.anyio

HOUR = 3_600_000
OFTEN = {"every": 50}
HOURLY = {"every": HOUR, "offset": 1}
NEW_YEAR = {"pattern": "0 0 1 1 *"}
FAILED = Failed("ValueError", "no such address")


async def upsert(
    engine: Engine, repeat: dict[str, t.Any], data: object = None, id: str = "report", **opts: t.Any
) -> SchedulerState:
    return await engine.schedulers.upsert("emails", id, repeat, Template("report", data, opts))


async def pending(engine: Engine) -> list[str]:
    """Return the jobs that wait or are delayed."""
    states = ("waiting", "delayed", "prioritized")
    return [job["id"] for job in await engine.jobs.page("emails", states, 0, 99, ascending=True)]


async def is_due(engine: Engine, id: str = "report") -> None:
    """Make the next job's time be over: its record and its job are of a second ago."""
    held = await engine.schedulers.get("emails", id)
    assert held.next_job is not None
    due = round(time.time() * 1000) - 1000
    key, job_id = engine.key("repeat"), f"repeat:{id}:{due}"
    await engine.redis.execute("RENAME", engine.key(held.next_job.id), engine.key(job_id))
    await engine.redis.execute("ZREM", engine.key("delayed"), held.next_job.id)
    await engine.redis.execute("LPUSH", engine.key("wait"), job_id)
    await engine.redis.execute("ZADD", key, due, id)


def times(process: Processor) -> list[int]:
    """When the jobs that were started were due."""
    return [int(job.id.rpartition(":")[2]) for job in process.started]


async def test_a_scheduler_runs_again_and_again(
    engine: Engine, processor: type[Processor], wait_until: WaitUntil
) -> None:
    process = processor()
    await engine.run(process)
    await upsert(engine, OFTEN)
    await wait_until(lambda: len(process.started) >= 4)
    assert sorted(set(times(process))) == times(process)


async def test_the_times_of_every_do_not_drift(
    engine: Engine, processor: type[Processor], wait_until: WaitUntil
) -> None:
    process = processor()
    await engine.run(process)
    await upsert(engine, {"every": 50, "offset": 7})
    await wait_until(lambda: len(process.started) >= 4)
    assert {moment % 50 for moment in times(process)} == {7}


async def test_a_pattern_runs_again_and_again(
    engine: Engine, processor: type[Processor], wait_until: WaitUntil
) -> None:
    process = processor()
    await engine.run(process)
    await upsert(engine, {"pattern": "* * * * * *"})
    await wait_until(lambda: len(process.started) >= 2)
    first, second, *_ = times(process)
    assert (first % 1000, second - first) == (0, 1000)


async def test_every_starts_at_once(engine: Engine) -> None:
    added = await upsert(engine, {"every": HOUR})
    assert added.next_job is not None
    assert added.next_job.delay == 0


async def test_an_offset_starts_at_its_next_time(engine: Engine) -> None:
    added = await upsert(engine, HOURLY)
    assert (added.view["next"] % HOUR, added.view["next"] > time.time() * 1000 - 1) == (1, True)


async def test_immediately_runs_a_pattern_now(
    engine: Engine, processor: type[Processor], wait_until: WaitUntil
) -> None:
    process = processor()
    await engine.run(process)
    await upsert(engine, {**NEW_YEAR, "immediately": True})
    await wait_until(lambda: process.started)
    assert (await engine.schedulers.get("emails", "report")).view["next"] > time.time() * 1000


@pytest.mark.parametrize("repeat", [HOURLY, NEW_YEAR], ids=["every", "pattern"])
async def test_nothing_runs_before_the_start_date(engine: Engine, repeat: dict[str, t.Any]) -> None:
    start = 2_000_000_000_000
    added = await upsert(engine, {**repeat, "startDate": start})
    assert added.view["next"] >= start


async def test_jobs_are_made_of_the_template(
    engine: Engine, processor: type[Processor], wait_until: WaitUntil
) -> None:
    process = processor()
    await engine.run(process)
    await upsert(engine, OFTEN, {"to": "ä"}, attempts=3, telemetry={"metadata": "{}"})
    await wait_until(lambda: len(process.started) >= 2)
    second = process.started[1]
    assert (second.name, second.data, second.attempts, second.opts["telemetry"]) == (
        "report",
        '{"to":"\\u00e4"}',
        3,
        {"metadata": "{}"},
    )


REPEATS = [
    pytest.param({"every": HOUR}, id="every"),
    pytest.param(HOURLY, id="every with an offset"),
    pytest.param(NEW_YEAR, id="pattern"),
    pytest.param(
        {**NEW_YEAR, "tz": "Europe/Berlin", "limit": 3, "endDate": 2_000_000_000_000}, id="pattern and more"
    ),
    pytest.param({**NEW_YEAR, "immediately": True}, id="immediately"),
]


@pytest.mark.parametrize("repeat", REPEATS)
async def test_upserting_the_same_again_leaves_the_next_job_as_it_is(
    engine: Engine, repeat: dict[str, t.Any]
) -> None:
    opts: dict[str, t.Any] = {
        "attempts": 3,
        "backoff": {"type": "fixed", "delay": 5, "jitter": 0.0},
        "removeOnComplete": True,
    }
    first = await upsert(engine, repeat, {"n": [1, 0.5, {}]}, **opts)
    assert first.next_job is not None
    await engine.redis.execute("HSET", engine.key(first.next_job.id), "mark", "same")
    again = await upsert(engine, repeat, {"n": [1, 0.5, {}]}, **opts)
    assert again.next_job is not None
    assert await engine.field(again.next_job.id, "mark") == "same"


@pytest.mark.parametrize("repeat", REPEATS[:-1])
async def test_another_template_is_of_the_next_run_at_the_same_time(
    engine: Engine, repeat: dict[str, t.Any]
) -> None:
    first = await upsert(engine, repeat, {"n": 1})
    second = await upsert(engine, repeat, {"n": True})
    assert second.next_job is not None
    assert second.view["next"] == first.view["next"]
    assert (await engine.job(second.next_job.id))["data"] == {"n": True}


@pytest.mark.parametrize("repeat", REPEATS[:-1])
async def test_another_template_makes_no_second_job(engine: Engine, repeat: dict[str, t.Any]) -> None:
    for number in range(3):
        await upsert(engine, repeat, number)
    assert len(await pending(engine)) == 1


@pytest.mark.parametrize("repeat", [HOURLY, NEW_YEAR], ids=["every", "pattern"])
async def test_another_template_does_not_put_off_a_run_that_waits_for_its_worker(
    engine: Engine, processor: type[Processor], wait_until: WaitUntil, repeat: dict[str, t.Any]
) -> None:
    await upsert(engine, repeat, "old")
    await is_due(engine)
    await upsert(engine, repeat, "new")
    process = processor()
    await engine.run(process)
    await wait_until(lambda: process.started)
    assert process.started[0].data == '"new"'


async def test_the_run_after_one_that_waited_is_not_left_out(
    engine: Engine, processor: type[Processor], wait_until: WaitUntil
) -> None:
    due = (await upsert(engine, NEW_YEAR, "old")).view["next"]
    await is_due(engine)
    await upsert(engine, NEW_YEAR, "new")
    process = processor()
    await engine.run(process)
    await wait_until(lambda: process.started)
    assert (await engine.schedulers.get("emails", "report")).view["next"] == due


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"every": HOUR}, {"every": 2 * HOUR, "offset": 5}),
        (HOURLY, {"every": HOUR, "offset": 5}),
        (NEW_YEAR, {"every": HOUR, "offset": 5}),
    ],
    ids=["every", "offset", "pattern to every"],
)
async def test_other_times_take_the_place_of_the_old_ones(
    engine: Engine, first: dict[str, t.Any], second: dict[str, t.Any]
) -> None:
    await upsert(engine, first)
    changed = await upsert(engine, second)
    assert changed.view["next"] % second["every"] == 5
    assert len(await pending(engine)) == 1


async def test_another_time_zone_takes_the_place_of_the_old_one(engine: Engine) -> None:
    in_utc = await upsert(engine, NEW_YEAR)
    in_berlin = await upsert(engine, {**NEW_YEAR, "tz": "Europe/Berlin"})
    assert in_utc.view["next"] - in_berlin.view["next"] == HOUR


async def test_the_limit_is_how_often_it_runs(
    engine: Engine, processor: type[Processor], wait_until: WaitUntil
) -> None:
    process = processor()
    hub = await engine.run(process)
    await upsert(engine, {**OFTEN, "limit": 3})
    await wait_until(lambda: len(process.started) == 3)
    await engine.settle(hub)
    assert await pending(engine) == []


async def test_one_that_has_reached_its_limit_is_not_begun_again_by_upserting_it(
    engine: Engine, processor: type[Processor]
) -> None:
    hub = await engine.run(processor())
    first = await upsert(engine, {"every": HOUR, "limit": 1})
    assert first.next_job is not None
    await engine.until_state(first.next_job.id, "completed")
    await engine.settle(hub)
    again = await upsert(engine, {"every": HOUR, "limit": 1})
    assert (again.next_job, again.view["next"]) == (None, None)


@pytest.mark.parametrize("repeat", [OFTEN, {"pattern": "* * * * * *"}], ids=["every", "pattern"])
async def test_no_run_comes_after_the_end_date(
    engine: Engine, processor: type[Processor], wait_until: WaitUntil, repeat: dict[str, t.Any]
) -> None:
    process = processor()
    await engine.run(process)
    end = round(time.time() * 1000) + 1200
    await upsert(engine, {**repeat, "endDate": end})

    async def has_ended() -> bool:
        return (await engine.schedulers.get("emails", "report")).next_job is None

    await wait_until(has_ended)
    assert max(times(process)) <= end


@pytest.mark.parametrize(
    "verdict", [FAILED, Hold(0.001, "404"), RateLimited(1)], ids=["failed", "held", "rate-limited"]
)
async def test_it_goes_on_whatever_becomes_of_a_run(
    engine: Engine, processor: type[Processor], wait_until: WaitUntil, verdict: Verdict
) -> None:
    process = processor(verdict, verdict, Completed(None))
    await engine.run(process, concurrency=5)
    await upsert(engine, OFTEN)
    await wait_until(lambda: len({job.id for job in process.started}) >= 3)


@pytest.mark.parametrize(
    "verdict", [FAILED, Hold(0.001, "404"), RateLimited(1)], ids=["failed", "held", "rate-limited"]
)
async def test_a_run_that_starts_again_makes_no_other_job(
    engine: Engine, processor: type[Processor], wait_until: WaitUntil, verdict: Verdict
) -> None:
    process = processor(verdict, verdict, verdict, Completed(None))
    await engine.run(process)
    first = await upsert(engine, {"every": HOUR}, attempts=4)
    assert first.next_job is not None
    await engine.until_state(first.next_job.id, "completed")
    held = await engine.schedulers.get("emails", "report")
    assert (len(process.started), await pending(engine), held.view["iterationCount"]) == (
        4,
        [f"repeat:report:{first.view['next'] + HOUR}"],
        2,
    )


async def test_it_goes_on_when_a_server_dies_between_fetching_a_run_and_making_the_next(
    engine: Engine, processor: type[Processor], wait_until: WaitUntil, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "TICK", 0.02)
    first = await upsert(engine, {"every": HOUR})
    scripts = engine.jobs.scripts("emails")
    names = ["wait", "active", "prioritized", "events", "stalled", "limiter", "delayed", "paused", "meta", "pc"]
    options = pack({"token": f"nmq-dead-{engine.prefix}:1", "lockDuration": HOUR})
    args = [scripts.keys[""], round(time.time() * 1000), options]
    await scripts.run("moveToActive", scripts.all_keys(*names, "marker"), args)
    process = processor()
    await engine.run(process)
    await wait_until(lambda: process.started)
    assert [job.id for job in process.started] == [f"repeat:report:{first.view['next']}"]
    assert await pending(engine) == [f"repeat:report:{first.view['next'] + HOUR}"]


async def test_two_servers_run_no_time_twice(
    engine: Engine, processor: type[Processor], wait_until: WaitUntil
) -> None:
    process = processor()
    for _ in range(2):
        await engine.run(process)
    await upsert(engine, {"every": 10})
    await wait_until(lambda: len(process.started) >= 20)
    assert len(set(times(process))) == len(process.started)


async def test_redis_that_takes_no_writes_now_stops_no_scheduler(own_engine: Engine) -> None:
    first = await upsert(own_engine, {"every": HOUR})
    assert first.next_job is not None
    scripts = own_engine.jobs.scripts("emails")
    flat = await own_engine.redis.execute("HGETALL", own_engine.key(first.next_job.id))
    await own_engine.redis.execute("CONFIG", "SET", "maxmemory", 1)
    with pytest.raises(NotAdvanced, match="job scheduler report: the job is retried later"):
        await advance(scripts, EngineJob(first.next_job.id, fields_of(flat), "token"))


async def test_a_scheduler_goes_on_when_the_replicas_are_back(
    own_engine: Engine,
    own_valkey: EmbeddedValkey,
    processor: type[Processor],
    wait_until: WaitUntil,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    replicas_needed = [1]

    async def without_replicas(*args: t.Any) -> None:
        if replicas_needed:
            await own_engine.redis.execute("CONFIG", "SET", "min-replicas-to-write", replicas_needed.pop())
        await advance(*args)

    monkeypatch.setattr("nextmq_server.engine.worker.running.advance", without_replicas)
    process = processor()
    await own_engine.run(process)
    await upsert(own_engine, {"every": HOUR})
    await wait_until(lambda: "cannot connect to Redis" in caplog.text)
    assert process.started == []
    async with redis.asyncio.Redis(unix_socket_path=str(own_valkey.socket_path)) as admin:
        await admin.config_set("min-replicas-to-write", 0)
    await wait_until(lambda: process.started)
    await own_engine.redis.ready()
    assert len(await pending(own_engine)) == 1


async def test_a_run_whose_next_one_cannot_be_made_now_is_delivered_once_it_can(
    engine: Engine, processor: type[Processor], wait_until: WaitUntil, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusals = [NotAdvanced("report", RedisError("OOM command not allowed"))]

    async def refuse_once(*args: t.Any) -> None:
        if refusals:
            raise refusals.pop()
        await advance(*args)

    monkeypatch.setattr("nextmq_server.engine.worker.running.advance", refuse_once)
    process = processor()
    await engine.run(process)
    await upsert(engine, {"every": HOUR})
    await wait_until(lambda: process.started)
    assert (process.started[0].attempts_started, len(await pending(engine))) == (1, 1)


async def test_a_run_of_a_scheduler_that_cannot_go_on_is_delivered_and_the_log_says_so(
    engine: Engine, processor: type[Processor], caplog: pytest.LogCaptureFixture
) -> None:
    first = await upsert(engine, {"every": HOUR, "offset": 1})
    assert first.next_job is not None
    opts = '{"repeat":{"pattern":"what another client took for one"},"delay":0}'
    await engine.redis.execute("HSET", engine.key(first.next_job.id), "opts", opts)
    await engine.jobs.promote("emails", first.next_job.id)
    await engine.run(processor())
    await engine.until_state(first.next_job.id, "completed")
    assert "job scheduler report has stopped, as its next job cannot be added: pattern: " in caplog.text


async def test_a_time_that_had_its_run_has_no_other(engine: Engine, processor: type[Processor]) -> None:
    first = await upsert(engine, NEW_YEAR)
    assert first.next_job is not None
    await engine.jobs.promote("emails", first.next_job.id)
    await engine.run(processor())
    await engine.until_state(first.next_job.id, "completed")
    await engine.schedulers.remove("emails", "report")
    again = await upsert(engine, NEW_YEAR)
    assert again.view["next"] > first.view["next"]


async def test_a_next_job_that_got_lost_is_made_again_by_upserting_the_same(engine: Engine) -> None:
    first = await upsert(engine, HOURLY)
    assert first.next_job is not None
    await engine.redis.execute("ZREM", engine.key("delayed"), first.next_job.id)
    await engine.redis.execute("DEL", engine.key(first.next_job.id))
    again = await upsert(engine, HOURLY)
    assert await pending(engine) == [again.next_job and again.next_job.id]


async def test_a_scheduler_is_removed_with_its_next_job(engine: Engine) -> None:
    await upsert(engine, HOURLY)
    assert await engine.schedulers.remove("emails", "report")
    assert (await pending(engine), await engine.schedulers.count("emails")) == ([], 0)


async def test_removing_what_is_not_there_is_told(engine: Engine) -> None:
    assert not await engine.schedulers.remove("emails", "report")


async def test_one_that_is_removed_while_its_job_runs_has_run_for_the_last_time(
    engine: Engine, processor: type[Processor], wait_until: WaitUntil
) -> None:
    process = processor()
    process.gate.clear()
    hub = await engine.run(process)
    await upsert(engine, {"every": HOUR})
    await wait_until(lambda: process.running)
    await engine.schedulers.remove("emails", "report")
    process.gate.set()
    await engine.settle(hub)
    assert await pending(engine) == []


@pytest.mark.parametrize(("ascending", "expected"), [(True, ["a", "b", "c"]), (False, ["c", "b", "a"])])
async def test_schedulers_are_listed_by_when_they_run_next(
    engine: Engine, ascending: bool, expected: list[str]
) -> None:
    start = round(time.time() * 1000) + HOUR
    for place, id in ((3, "c"), (1, "a"), (2, "b")):
        await upsert(engine, {"every": HOUR, "startDate": start + place}, id=id)
    found = await engine.schedulers.page("emails", 0, 9, ascending=ascending)
    assert [scheduler.view["id"] for scheduler in found] == expected


@pytest.mark.parametrize(
    ("repeat", "reason"),
    [
        ({"pattern": "every day"}, "pattern: "),
        ({"pattern": "0 0 31 2 *"}, "pattern: "),
        ({**NEW_YEAR, "tz": "Berlin"}, "tz: "),
        ({"every": HOUR, "endDate": 1}, "endDate: "),
        ({**NEW_YEAR, "endDate": round(time.time() * 1000) + 1}, "endDate: "),
    ],
    ids=["no pattern", "no such day", "no time zone", "an end that is over", "an end before the first run"],
)
async def test_a_schedule_that_cannot_be_is_refused(engine: Engine, repeat: dict[str, t.Any], reason: str) -> None:
    with pytest.raises(InvalidSchedule, match=reason):
        await upsert(engine, repeat)
    assert await engine.schedulers.count("emails") == 0
