"""Tell both checkers what to report of producers: each `# error` line, and no other.

Read by test_checkers.py, never run.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypedDict, assert_type

from pydantic import BaseModel

from nextmq_handler import (
    AsyncFlowProducer,
    AsyncJobNode,
    AsyncQueue,
    AsyncQueueJob,
    FlowJob,
    FlowProducer,
    JobNode,
    JobScheduler,
    NewJob,
    NextMQ,
    Queue,
    QueueJob,
)


class Welcome(BaseModel):
    to: str


class Greeting(TypedDict):
    to: str


@dataclass
class Receipt:
    sent: int


plain = Queue("emails")
typed = Queue[Welcome, Receipt]("emails")
half = AsyncQueue[Greeting]("emails")
awaited = AsyncQueue[Welcome, Receipt]("emails", timeout=timedelta(seconds=5))


def a_plain_queue_takes_anything() -> None:
    job = plain.add("welcome", {"to": "a"}, attempts=5, backoff={"type": "exponential", "delay": 1000})
    assert_type(job, QueueJob[Any, Any])
    assert_type(plain.get_job("1"), QueueJob[Any, Any] | None)
    assert_type(plain.get_job_counts(), dict[str, int])
    plain.add("welcome")
    plain.add("welcome", [1], delay=timedelta(seconds=1), timestamp=datetime.now(UTC), idempotency_key="a")
    plain.add("welcome", None, deduplication={"id": "a", "ttl": 5}, parent={"id": "1", "queue_name": "reports"})
    plain.add("welcome", atempts=5)  # error
    plain.add("welcome", attempts="5")  # error
    plain.add("welcome", backoff={"type": "slow", "jitter": 0.5})
    plain.add("welcome", backoff={"type": "linear", "delay": 5})  # error
    plain.add("welcome", deduplication={"ttl": 5})  # error
    plain.add(5)  # error


def a_typed_queue_takes_and_returns_its_types() -> None:
    job = typed.add("welcome", Welcome(to="a"))
    assert_type(job, QueueJob[Welcome, Receipt])
    assert_type(job.data, Welcome)
    assert_type(job.return_value, Receipt | None)
    assert_type(job.wait_until_finished(timeout=5), Receipt)
    assert_type(typed.get_jobs(["failed", "completed"]), list[QueueJob[Welcome, Receipt]])
    typed.add("welcome", {"to": "a"})  # error
    typed.get_jobs("faild")  # error
    print(job.wait_until_finished().snet)  # error


def a_queue_typed_by_its_data_alone() -> None:
    half.name = half.name
    new: NewJob[Greeting] = {"name": "welcome", "data": {"to": "a"}, "opts": {"delay": 5}}
    bad: NewJob[Greeting] = {"name": "welcome", "opts": {"dely": 5}}  # error
    print(new, bad)


async def the_awaited_queue() -> None:
    job = await awaited.add("welcome", Welcome(to="a"))
    assert_type(job, AsyncQueueJob[Welcome, Receipt])
    assert_type(await job.wait_until_finished(), Receipt)
    assert_type(await half.add("welcome", {"to": "a"}), AsyncQueueJob[Greeting, Any])
    assert_type(
        await awaited.add_bulk([{"name": "welcome", "data": Welcome(to="a")}]),
        list[AsyncQueueJob[Welcome, Receipt]],
    )
    await half.add("welcome", {"form": "a"})  # error
    await awaited.add_bulk([{"nme": "welcome"}])  # error
    await job.change_delay("5")  # error


async def flows() -> None:
    child: FlowJob = {"name": "send", "queue_name": "emails", "opts": {"fail_parent_on_failure": True}}
    flow: FlowJob = {"name": "report", "queue_name": "reports", "children": [child]}
    assert_type(FlowProducer().add(flow), JobNode)
    assert_type(
        await AsyncFlowProducer().add(flow, {"emails": {"default_job_options": {"attempts": 3}}}), AsyncJobNode
    )
    bad: FlowJob = {"name": "report", "queue": "reports"}  # error
    print(bad)


async def schedulers_and_projects() -> None:
    scheduler = plain.upsert_job_scheduler(
        "daily", {"every": timedelta(days=1)}, {"name": "report", "opts": {"attempts": 3}}
    )
    assert_type(scheduler, JobScheduler)
    plain.upsert_job_scheduler("daily", {"evry": 5})  # error
    mq = NextMQ("nextmq://…")
    mq.triggers.create("https://app.example", repeat={"pattern": "0 7 * * *", "tz": "Europe/Warsaw"}, timeout=5)
    await mq.async_triggers.pause("1")
    assert_type(await mq.async_queue("emails").count(), int)


async def not_awaited() -> None:
    awaited.add("welcome", Welcome(to="a"))  # error
