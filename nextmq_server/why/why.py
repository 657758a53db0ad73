"""Why a queue or a job does not run: all causes, from what Redis holds and what the server processes publish."""

from __future__ import annotations

import asyncio
import dataclasses
import typing as t

from nextmq_handler.rules.log_text import one_line

from ..engine.queues.jobs import Jobs
from ..engine.worker.hub import Hub
from ..engine.worker.processes import PublishedProcess
from ..overview.node_workers import LIFE, NodeWorkers
from ..quota import ProjectQuota
from ..redis.connection import ConnectionLost
from ..redis.primary import parse_info
from ..timers import now_ms
from ..words import counted, span_text
from ..workers.registry import Registry
from .cause import Cause, Remedy, command, in_order
from .facts import JsonObject, RunFacts, read_facts
from .job_causes import WAITING, causes_of_job
from .queue_causes import Served, causes_of_processes, causes_of_queue

MAX_DEPTH = 5
"""How many levels of a flow are followed down to the job that the others wait for."""


class Diagnosis(t.NamedTuple):
    """Why a queue or a job does not run. `at` is ms since the epoch; no causes: nothing keeps it from running."""

    queue: str
    job: str | None
    state: str | None
    at: int
    causes: list[Cause]

    def view(self) -> dict[str, t.Any]:
        """Return the answer as the API shows it."""
        return {**self._asdict(), "causes": [cause.view() for cause in self.causes]}


class Why:
    """Answers for the queues and jobs of one project. Each call raises RedisError."""

    def __init__(
        self, hub: Hub, jobs: Jobs, registry: Registry, node_workers: NodeWorkers, quota: ProjectQuota
    ) -> None:
        self._hub = hub
        self._jobs = jobs
        self._registry = registry
        self._node_workers = node_workers
        self._quota = quota

    async def ask(self, queue: str, job_id: str | None = None) -> Diagnosis:
        """Return why the queue, or its job, does not run now."""
        try:
            facts, memory, causes = await self._ask(queue, job_id)
        except ConnectionLost as exc:
            return Diagnosis(queue, job_id, None, now_ms(), [_redis_down(exc)])
        causes += _full(memory)
        is_about_adding = facts.job is None
        if is_about_adding and (problem := self._quota.problem) is not None:
            causes.append(_quota_cause(queue, problem))
        state = facts.job["state"] if facts.job else None
        return Diagnosis(queue, job_id, "waiting" if state == "paused" else state, facts.now, in_order(causes))

    async def _ask(self, queue: str, job_id: str | None) -> tuple[RunFacts, JsonObject, list[Cause]]:
        scripts = self._jobs.scripts(queue)
        facts, memory, processes, node_workers = await asyncio.gather(
            read_facts(scripts, job_id),
            scripts.connection.execute("INFO", "memory"),
            self._processes(),
            # Without a registration the answer depends on them: one that has just connected must be seen.
            self._node_workers.counts(max_age=LIFE if self._registry.get(queue) else 0.0),
        )
        causes = await self._causes(queue, job_id, facts, processes, node_workers, depth=0)
        return facts, parse_info(memory), causes

    async def _causes(
        self,
        queue: str,
        job_id: str | None,
        facts: RunFacts,
        processes: t.Sequence[PublishedProcess],
        node_workers: t.Mapping[str, int],
        *,
        depth: int,
    ) -> list[Cause]:
        job, causes = facts.job, list[Cause]()
        if job_id is not None:
            causes += causes_of_job(queue, job_id, facts)
        elif not facts.waiting and not facts.queue["active"] and (due := facts.queue.get("nextDelayed")):
            causes += _only_delayed(queue, due, facts.now)
        if job_id is None or (job is not None and (job["state"] in WAITING or "lock_lost" in _codes(causes))):
            registration = self._registry.get(queue)
            near = None if registration else self._registry.nearest(queue)
            served = Served(registration, node_workers.get(queue, 0), near)
            causes += causes_of_queue(queue, facts, served)
            moment = facts.now
            fresh = [dataclasses.replace(one, at=one.at or moment) for one in processes]
            causes += causes_of_processes(queue, fresh, moment)
        if job is not None and job["state"] == "waiting-children":
            why = await self._why_child(job["children"], processes, node_workers, depth)
            causes += _children(job["children"], why)
        return causes

    async def _processes(self) -> list[PublishedProcess]:
        """Return what all processes know; this one now, without an age."""
        own = self._hub.described()
        return [own, *(one for one in await self._hub.processes.read() if one.id != own.id)]

    async def _why_child(
        self,
        children: JsonObject,
        processes: t.Sequence[PublishedProcess],
        node_workers: t.Mapping[str, int],
        depth: int,
    ) -> list[Cause]:
        """Return why the first open child does not run."""
        if not children["open"] or depth >= MAX_DEPTH:
            return []
        child = children["open"][0]
        facts = await read_facts(self._jobs.scripts(child["queue"]), child["id"])
        found = await self._causes(child["queue"], child["id"], facts, processes, node_workers, depth=depth + 1)
        return in_order(found)


def _codes(causes: t.Iterable[Cause]) -> set[str]:
    return {cause.code for cause in causes}


def _children(children: JsonObject, why: t.Sequence[Cause]) -> t.Iterator[Cause]:
    failed, missing, waiting = (list(children[kind] or []) for kind in ("failed", "missing", "open"))
    if failed:
        first = failed[0]
        reason = f": {one_line(first['reason'])}" if first.get("reason") else ""
        yield Cause(
            "child_failed",
            f"it waits for {_named(first)}, which failed{reason}" + _others(failed),
            Remedy(
                "run the child again; or remove it, which the job then does not wait for", _command("retry", first)
            ),
            details={"children": failed},
        )
    if missing:
        first = missing[0]
        yield Cause(
            "child_missing",
            f"it waits for {_named(first)}, which does not exist any more" + _others(missing),
            Remedy("add the child again under its id, with this job as its parent; or remove this job"),
            details={"children": missing},
        )
    if waiting:
        first = waiting[0]
        state = "waiting" if first["state"] == "paused" else first["state"]
        because = f" because {why[0].sentence}" if why and why[0].code != "active" else ""
        yield Cause(
            "children_open",
            f"it waits for {counted(children['count'], 'child', 'children')}: {_named(first)} is {state}{because}",
            Remedy("look at that child", _command("why", first)),
            details={"count": children["count"], "children": waiting, "causes": [cause.code for cause in why]},
        )


def _named(child: JsonObject) -> str:
    return f'job {one_line(child["id"])} of queue "{one_line(child["queue"])}"'


def _others(children: t.Sequence[JsonObject]) -> str:
    return f"; and so did {counted(len(children) - 1, 'other')}" if len(children) > 1 else ""


def _command(name: str, child: JsonObject) -> str:
    return command(name, child["queue"], child["id"])


def _only_delayed(queue: str, due: int, now: int) -> t.Iterator[Cause]:
    if due > now:
        remedy = Remedy("wait, or let a delayed job start now: nextmq jobs lists them", command("jobs", queue))
        yield Cause("delayed", f"no job is due: the next one is in {span_text(due - now)}", remedy, until=due)


def _full(memory: JsonObject) -> t.Iterator[Cause]:
    used, most = int(memory.get("used_memory") or 0), int(memory.get("maxmemory") or 0)
    if not most or used < most:
        return
    yield Cause(
        "redis_full",
        f"Redis uses {used:,} of its {most:,} bytes: it starts no job and takes no new ones",
        Remedy("raise its maxmemory, or remove finished jobs: nextmq clean QUEUE --state completed"),
        details={"usedMemory": used, "maxMemory": most},
    )


def _quota_cause(queue: str, problem: str) -> Cause:
    return Cause(
        "project_quota",
        f"{problem}: new jobs are refused",
        Remedy(
            "remove jobs, or raise the limit of the project",
            command("clean", queue, options=["--state", "completed"]),
        ),
    )


def _redis_down(exc: Exception) -> Cause:
    return Cause(
        "redis_down",
        f"the server cannot reach Redis: {one_line(str(exc))}",
        Remedy("start Redis, or repair the network to it: the server connects again by itself"),
    )
