"""What keeps all jobs of a queue from starting."""

from __future__ import annotations

import typing as t

from nextmq_handler.rules.log_text import one_line

from ..engine.queues.job import whole
from ..engine.worker.processes import PublishedProcess
from ..words import counted, span_text
from ..workers.registration import Registration
from .cause import Cause, Code, Remedy, command
from .facts import RunFacts

_HOLDS: t.Mapping[str, Code] = {
    "unreachable": "held_unreachable",
    "throttled": "held_throttled",
    "breaker": "breaker",
    "disabled": "disabled",
}

_REGISTER = Remedy(
    "start its app, which registers by itself, or register it in a deploy step", "nextmq register MODULE:HANDLER"
)


class Served(t.NamedTuple):
    """Who serves a queue: its registration, how many of Node's workers, and the name that was perhaps meant."""

    registration: Registration | None
    node_workers: int
    nearest: str | None


def causes_of_queue(queue: str, facts: RunFacts, served: Served) -> t.Iterator[Cause]:
    """Yield what keeps jobs of the queue from starting, by what Redis holds."""
    if "paused" in facts.meta or facts.queue["paused"]:
        yield Cause(
            "paused",
            f'queue "{queue}" is paused: {counted(facts.waiting, "job waits", "jobs wait")}',
            Remedy("resume it", command("resume", queue)),
        )
    yield from _unserved(queue, facts, served)
    yield from _held(queue, facts)
    yield from _limited(queue, facts, served.registration)
    yield from _full(queue, facts)


def _unserved(queue: str, facts: RunFacts, served: Served) -> t.Iterator[Cause]:
    if served.registration is not None:
        return
    if served.node_workers:
        workers = counted(served.node_workers, "BullMQ worker")
        yield Cause(
            "node_only",
            f'no app has registered for queue "{queue}": only {workers} of another process may run its jobs',
            Remedy("look at the log of that process, or register an app", _REGISTER.command),
            details={"workers": served.node_workers},
        )
        return
    near = f'; did you mean "{served.nearest}"?' if served.nearest else ""
    remedy = _REGISTER
    if served.nearest:
        remedy = Remedy(
            f'add the jobs to "{served.nearest}", or register a worker "{queue}"; nextmq doctor tells more',
            _REGISTER.command,
        )
    yield Cause(
        "no_worker",
        f'queue "{queue}" has {counted(facts.waiting, "waiting job")} and no worker{near}',
        remedy,
        details={"nearest": served.nearest, "waiting": facts.waiting},
    )


def _held(queue: str, facts: RunFacts) -> t.Iterator[Cause]:
    hold, left = facts.hold, facts.hold_left
    if hold is None or (left == 0 and not facts.queue.get("isProbing")):
        return
    code = _HOLDS.get(hold["kind"], "held_unreachable")
    detail, since = one_line(hold["detail"]), int(hold["since"])
    if left is None:
        sentence = f"the endpoint is disabled since {span_text(facts.now - since)}: {detail}"
        remedy = Remedy(f"mend it, then register its app again: that enables it. {_PROBE}", _REGISTER.command)
    else:
        following = f"the next try is in {span_text(left)}" if left else "a job tries it just now"
        sentence = f"the endpoint is held for {span_text(facts.now - since)}: {detail}; {following}"
        remedy = Remedy(
            f"mend the endpoint, then end the hold. {_PROBE}", command("limits", queue, options=["--end-rest"])
        )
    yield Cause(
        code,
        sentence,
        remedy,
        since=since,
        until=facts.now + left if left else None,
        details={"kind": hold["kind"], "tries": whole(hold.get("count")) or 0},
    )


_PROBE = "nextmq doctor sends it a probe"


def _limited(queue: str, facts: RunFacts, registration: Registration | None) -> t.Iterator[Cause]:
    limited, most = facts.limited, whole(facts.meta.get("max"))
    if limited.left <= 0 or not limited.starts:
        return
    left, until = span_text(limited.left), facts.now + limited.left
    end = command("limits", queue, options=["--end-rest"])
    if limited.is_asked_for:
        yield Cause(
            "throttled",
            f"a processor or a person has asked the queue to rest for {left} more",
            Remedy("wait, or end the rest", end),
            until=until,
        )
    elif most is not None:
        if limited.starts >= most:
            span = span_text(whole(facts.meta.get("duration")) or 0)
            yield Cause(
                "global_limit",
                f"the queue's rate limit of {counted(most, 'start')} in {span} is reached: the next is in {left}",
                Remedy("wait, or remove the limit", command("limits", queue, options=["--rate", "none"])),
                until=until,
                details={"max": most, "starts": limited.starts},
            )
    elif registration is not None and (own := registration.options.limiter) and limited.starts >= own.max:
        span = span_text(own.duration)
        yield Cause(
            "limiter",
            f"the worker's limiter of {counted(own.max, 'start')} in {span} is reached: the next is in {left}",
            Remedy("wait, or end this period; for good, raise the limiter of the Worker", end),
            until=until,
            details={"max": own.max, "starts": limited.starts},
        )


def _full(queue: str, facts: RunFacts) -> t.Iterator[Cause]:
    applied: str = facts.meta.get("concurrency") or ""
    bound, active = whole(applied), facts.queue["active"]
    if bound is None or active < bound:
        return
    running = list(facts.queue["running"] or [])
    names = ", ".join(one_line(job) for job in running[:3]) + (" …" if active > len(running[:3]) else "")
    details = {"concurrency": bound, "active": active, "jobs": running}
    by_jobs = f"by {counted(active, 'running job')} ({names})" if running else "by none"
    if applied.startswith("0") and len(applied) > 1:
        yield Cause(
            "worker_concurrency",
            f"the worker's concurrency of {bound} is full, {by_jobs}",
            Remedy(
                "wait until one ends, or raise the concurrency of the Worker and register it", _REGISTER.command
            ),
            details=details,
        )
    else:
        yield Cause(
            "global_concurrency",
            f"the queue's global concurrency of {bound} is full, {by_jobs}",
            Remedy(
                "wait until one ends, or remove the limit",
                command("limits", queue, options=["--concurrency", "none"]),
            ),
            details=details,
        )


_SLOTS: t.Mapping[str, tuple[Code, str, str]] = {
    "process": (
        "process_full",
        "all slots of the server are taken",
        "start more servers, or raise --max-in-flight",
    ),
    "project": (
        "project_full",
        "the project has its share of the server's slots",
        "wait until a delivery ends, start more servers, or raise --max-in-flight",
    ),
    "origin": (
        "origin_full",
        "as many deliveries to the app's origin are in flight as the server allows",
        "wait until one ends, or raise --max-per-origin",
    ),
}


def causes_of_processes(queue: str, processes: t.Sequence[PublishedProcess], now: int) -> t.Iterator[Cause]:
    """Yield what keeps the queue's jobs from starting in every server process that is known."""
    if not processes:
        return
    if all(process.is_draining for process in processes):
        names = ", ".join(process.id for process in processes[:3])
        yield Cause(
            "draining",
            f"{counted(len(processes), 'server process', 'server processes')} ({names}) shut down, no other runs",
            Remedy("start a server: nextmq serve, or nextmq dev on this machine", "nextmq serve"),
            age=max(process.age(now) for process in processes),
        )
        return
    shortages = [process.full.get(queue) for process in processes if not process.is_draining]
    if not all(shortages):
        return
    code, sentence, remedy = _SLOTS[shortages[0] or "process"]
    busy = next(process for process in processes if not process.is_draining)
    yield Cause(
        code,
        f"{sentence}: {busy.in_flight} of {busy.max_in_flight} deliveries are in flight",
        Remedy(remedy),
        age=max(process.age(now) for process in processes),
        details={"inFlight": busy.in_flight, "maxInFlight": busy.max_in_flight},
    )
