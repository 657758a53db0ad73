"""What keeps one job from starting, beside what keeps all jobs of its queue from it."""

from __future__ import annotations

import typing as t

from nextmq_handler.protocol import strict_json
from nextmq_handler.rules.log_text import one_line

from ..engine.queues.delivery_log import deliveries
from ..engine.queues.job import whole
from ..engine.worker.upkeep import HEARTBEAT_LIFE
from ..words import counted, span_text
from .cause import Cause, Remedy, command
from .facts import JsonObject, RunFacts

WAITING = ("waiting", "paused", "prioritized", "delayed", "waiting-children")
"""The states in which a job is kept from starting by what its queue is kept by."""


def causes_of_job(queue: str, job_id: str, facts: RunFacts) -> t.Iterator[Cause]:
    """Yield what keeps the job from starting, by what Redis holds of it. Its children are another module's."""
    job = facts.job
    if job is None:
        yield _not_found(queue, job_id, facts)
        return
    match job["state"]:
        case "completed" | "failed":
            yield _finished(queue, job_id, job, facts.now)
        case "active":
            yield _active(job, facts.now)
        case "delayed" if job["due"] > facts.now:
            yield _delayed(queue, job_id, job, facts.now)
        case "unknown":
            yield Cause(
                "not_found",
                f'Redis has data of job {one_line(job_id)}, but no state of queue "{queue}" has it: it cannot run',
                Remedy("add the job again under another id"),
                details={"isRemoved": False},
            )
        case _:
            pass
    yield from _behind(queue, job)


def _delayed(queue: str, job_id: str, job: JsonObject, now: int) -> Cause:
    due = int(job["due"])
    remedy = Remedy("wait, or let it start now", command("promote", queue, job_id))
    last = deliveries(job.get("nextmq:deliveries"))
    made = whole(job.get("atm")) or 0
    has_failed = last[-1]["outcome"] == "failed" if last else made > 0
    if has_failed and made:
        why = f": {one_line(last[-1]['detail'] or '')}" if last and last[-1]["detail"] else ""
        sentence = f"attempt {made} failed{why}; the next one starts in {span_text(due - now)}"
        return Cause("backoff", sentence, remedy, until=due, details={"attemptsMade": made})
    by = f" by scheduler {one_line(job['rjk'])}" if "rjk" in job else ""
    return Cause("delayed", f"the job is delayed{by}: it is due in {span_text(due - now)}", remedy, until=due)


def _behind(queue: str, job: JsonObject) -> t.Iterator[Cause]:
    urgent, ahead = job.get("urgent", 0), job.get("ahead", 0)
    priority = whole(job.get("priority")) or 0
    if urgent:
        yield Cause(
            "priority",
            f"{counted(urgent, 'job')} of a more urgent priority than its {priority} start first",
            Remedy("wait, or change its priority: PUT …/priority in the API"),
            details={"ahead": urgent, "priority": priority},
        )
    if ahead:
        yield Cause(
            "behind",
            f"{counted(ahead, 'job')} ahead of it start first"
            if not urgent
            else f"and {ahead} of its own priority",
            Remedy(f'wait; more run at once with a higher concurrency of queue "{queue}"'),
            details={"ahead": ahead},
        )


def _active(job: JsonObject, now: int) -> Cause:
    since = whole(job.get("processedOn"))
    lasts = f" for {span_text(now - since)}" if since else ""
    lock: JsonObject | None = job.get("lock")
    if lock is None:
        return Cause(
            "lock_lost",
            f"the job is active{lasts} without a lock: who ran it lost it, or was killed",
            Remedy("wait: a server process with its worker puts it back at the next check of stalled jobs"),
            since=since,
            details={"processedBy": job.get("pb")},
        )
    owner = f"server {lock['server']}" if "server" in lock else f"BullMQ worker {one_line(job.get('pb') or '')}"
    details = {"owner": owner, "lockLeft": lock["left"]}
    if lock.get("isGone"):
        return Cause(
            "server_gone",
            f"{owner}, which ran the job{lasts}, has sent no heartbeat for {HEARTBEAT_LIFE:.0f} s",
            Remedy("wait: another server process puts the job back within seconds; start one if none runs"),
            since=since,
            details=details,
        )
    return Cause(
        "active",
        f"the job runs{lasts}, by {owner.rstrip()}",
        Remedy("wait for the end of the attempt, or of the worker's timeout"),
        since=since,
        details=details,
    )


def _finished(queue: str, job_id: str, job: JsonObject, now: int) -> Cause:
    at = whole(job.get("finishedOn")) or now
    reason = f": {one_line(job['failedReason'])}" if job["state"] == "failed" and job.get("failedReason") else ""
    made = whole(job.get("atm")) or 0
    return Cause(
        "finished",
        f"the job {job['state']} {span_text(now - at)} ago, after {counted(made, 'attempt')}{reason}",
        Remedy("run it again", command("retry", queue, job_id)),
        since=at,
        details={"state": job["state"], "attemptsMade": made, "failedReason": job.get("failedReason")},
    )


def _not_found(queue: str, job_id: str, facts: RunFacts) -> Cause:
    shown = one_line(job_id)
    holder: str | None = facts.queue.get("holder")
    if holder is not None:
        return Cause(
            "not_found",
            f"{shown} is a deduplication id, which job {one_line(holder)} holds: no other job was added with it",
            Remedy("look at that job", command("why", queue, holder)),
            details={"deduplicatedBy": holder},
        )
    ended = _ended(facts.queue.get("snapshot"))
    if ended is not None:
        at = int(ended["finishedOn"])
        return Cause(
            "not_found",
            f"job {shown} {ended['state']} {span_text(facts.now - at)} ago and was removed, as its options say",
            Remedy("keep finished jobs longer: removeOnComplete and removeOnFail; or add it again"),
            since=at,
            details={"state": ended["state"]},
        )
    return Cause(
        "not_found",
        f'queue "{queue}" has no job {shown}: it was never added, was removed, or finished and was not kept',
        Remedy("compare the id and the queue; nextmq jobs lists those that are there", command("jobs", queue)),
    )


def _ended(snapshot: str | None) -> JsonObject | None:
    try:
        held: object = strict_json.parse(snapshot or "null")
    except ValueError:
        return None
    if not isinstance(held, dict) or not {"state", "finishedOn"} <= held.keys():
        return None
    return t.cast("JsonObject", held)
