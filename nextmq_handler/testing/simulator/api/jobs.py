"""/v1/queues/{queue}/jobs: add jobs, look at them, change them."""

from __future__ import annotations

import typing as t

from ....protocol import strict_json
from ....rules.bodies import (
    DataBody,
    DelayBody,
    LogRowBody,
    NewJobBody,
    NewJobsBody,
    PriorityBody,
    ProgressBody,
    RetryBody,
    check_size,
)
from ....rules.refusals import no_such_job, parent_refused, wanted_states, wrong_state
from ....rules.views import JobView, by_name
from ..engine.adding import SimulatedAdd, SimulatedParentError, add_all
from ..engine.job import Key, NewSimulatedJob, SimulatedJob
from ..engine.snapshots import result_of
from .routing import Router, SimulatedRequest
from .views import dependencies_view, job_view

router: Router = Router()
_JOB = "queues/*/jobs/*"


@router.route("POST", "queues/*/jobs", status=201, body=NewJobBody)
def add_job(request: SimulatedRequest) -> dict[str, t.Any]:
    new = _new_job(request, request.body, "data")
    [added] = add(request, [new])
    return added_view(request, new, added)


@router.route("POST", "queues/*/jobs/bulk", status=201, body=NewJobsBody)
def add_jobs(request: SimulatedRequest) -> dict[str, t.Any]:
    body: NewJobsBody = request.body
    new = [_new_job(request, job, f"jobs.{index}.data") for index, job in enumerate(body.jobs)]
    added = add(request, new)
    return {"jobs": [_bulk_view(request, job, one) for job, one in zip(new, added, strict=True)]}


@router.route("GET", "queues/*/jobs")
def get_jobs(request: SimulatedRequest) -> dict[str, t.Any]:
    queue = request.queue
    start, end = request.number("start", 0), request.number("end", 99) + 1
    found: list[JobView] = []
    for state in wanted_states(request.query.get("states")):
        ids = queue.ids(state)
        if not request.flag("asc", default=False):
            ids.reverse()
        found += [job_view(queue.jobs[job_id]) for job_id in ids[start:end]]
    return {"jobs": found}


@router.route("GET", _JOB)
def get_job(request: SimulatedRequest) -> JobView:
    return job_view(request.job())


@router.route("DELETE", _JOB)
def remove_job(request: SimulatedRequest) -> None:
    job, simulation = request.job(), request.simulation
    with_children = request.flag("removeChildren", default=True)
    doomed = simulation.store.family(job) if with_children else [job]
    if any(one.state == "active" for one in doomed):
        raise wrong_state(*job.key, "is running, or one of its children is", code="job_locked")
    scheduler = simulation.schedulers.of(job.key.queue).get(job.scheduler_id or "")
    if scheduler is not None and scheduler.newest_job == job.id:
        raise wrong_state(*job.key, "is a job scheduler's next one: remove the scheduler")
    for one in doomed:
        simulation.store.remove(one)
        simulation.store.deduplicators[one.key.queue].removed(one, request.now)
        simulation.snapshots.forget(one.key)


@router.route("GET", f"{_JOB}/result")
def get_result(request: SimulatedRequest) -> dict[str, t.Any]:
    key = Key(*request.names[:2])
    job = request.simulation.store.find(key)
    result = result_of(job) if job else request.simulation.snapshots.get(key, request.now)
    if result is None:
        raise no_such_job(*key)
    return {**result}


@router.route("PUT", f"{_JOB}/progress", body=ProgressBody)
def update_progress(request: SimulatedRequest) -> None:
    request.job().progress = request.body.progress


@router.route("PUT", f"{_JOB}/data", body=DataBody)
def update_data(request: SimulatedRequest) -> None:
    request.job().data = request.body.data


@router.route("POST", f"{_JOB}/logs", body=LogRowBody)
def add_log(request: SimulatedRequest) -> dict[str, t.Any]:
    job, keep = request.job(), request.body.keepLogs
    job.logs.append(request.body.row)
    if keep is None:
        return {"count": len(job.logs)}
    job.logs = job.logs[-keep:]  # like BullMQ, keep all of them and return 0 if `keep` is 0
    return {"count": min(keep, len(job.logs))}


@router.route("GET", f"{_JOB}/logs")
def get_logs(request: SimulatedRequest) -> dict[str, t.Any]:
    job = request.job()
    start, end = request.number("start", 0), request.number("end", -1)
    rows = job.logs if request.flag("asc", default=True) else job.logs[::-1]
    return {"logs": rows[start : None if end == -1 else end + 1], "count": len(rows)}


@router.route("DELETE", f"{_JOB}/logs")
def clear_logs(request: SimulatedRequest) -> None:
    job, keep = request.job(), request.number("keep", 0)
    job.logs = job.logs[-keep:] if keep else []


@router.route("POST", f"{_JOB}/retry", body=RetryBody)
def retry_job(request: SimulatedRequest) -> None:
    body: RetryBody = request.body
    job = request.job()
    if job.state != body.state:
        raise wrong_state(*job.key, f"is not {body.state}")
    if body.resetAttemptsMade:
        job.attempts_made = 0
    if body.resetAttemptsStarted:
        job.attempts_started = 0
    request.queue.detach(job)
    run_again(request, job, body.state)
    request.queue.push_in_turn(job, is_next=bool(job.opts.get("lifo")))


@router.route("POST", f"{_JOB}/promote")
def promote_job(request: SimulatedRequest) -> None:
    job = _delayed(request)
    request.queue.detach(job)
    job.delay = 0
    request.queue.push(job)


@router.route("PUT", f"{_JOB}/delay", body=DelayBody)
def change_delay(request: SimulatedRequest) -> None:
    job = _delayed(request)
    request.queue.detach(job)
    job.delay = request.body.delay
    request.queue.postpone(job, request.now + job.delay)


@router.route("PUT", f"{_JOB}/priority", body=PriorityBody)
def change_priority(request: SimulatedRequest) -> None:
    body: PriorityBody = request.body
    job = request.job()
    waits = job.state in ("waiting", "prioritized")
    if waits:
        request.queue.detach(job)
    job.priority = body.priority
    if waits:
        request.queue.push(job, is_next=body.lifo)


@router.route("DELETE", f"{_JOB}/deduplication-key")
def remove_deduplication_key(request: SimulatedRequest) -> dict[str, t.Any]:
    job = request.job()
    return {"removed": request.simulation.store.deduplicators[job.key.queue].removed(job, request.now)}


@router.route("GET", f"{_JOB}/children-values")
def get_children_values(request: SimulatedRequest) -> dict[str, t.Any]:
    return {"values": by_name(request.job().processed_children)}


@router.route("GET", f"{_JOB}/ignored-failures")
def get_ignored_failures(request: SimulatedRequest) -> dict[str, t.Any]:
    return {"failures": by_name(request.job().ignored_children)}


@router.route("GET", f"{_JOB}/dependencies")
def get_dependencies(request: SimulatedRequest) -> dict[str, t.Any]:
    return dependencies_view(request.job(), request.number("limit", 1000))


@router.route("DELETE", f"{_JOB}/parent")
def remove_child_dependency(request: SimulatedRequest) -> dict[str, t.Any]:
    job = request.job()
    removed = request.simulation.store.part(job)
    if removed:
        job.parent_key = None
    return {"removed": removed}


@router.route("DELETE", f"{_JOB}/children")
def remove_unprocessed_children(request: SimulatedRequest) -> None:
    request.simulation.store.remove_unprocessed(request.job())


def add(request: SimulatedRequest, jobs: t.Sequence[NewSimulatedJob]) -> list[SimulatedAdd]:
    """Add the jobs. Raises Refusal for a parent that they cannot have."""
    try:
        return add_all(request.simulation.store, jobs)
    except SimulatedParentError as exc:
        raise parent_refused(exc.index, exc.new.opts["parent"], exc, is_gone=exc.is_gone) from None


def added_view(request: SimulatedRequest, new: NewSimulatedJob, added: SimulatedAdd) -> dict[str, t.Any]:
    """Return a job that was just added, or was there already."""
    job = request.simulation.store.find(Key(new.queue, added.id))
    if job is None:
        raise no_such_job(new.queue, added.id)
    return {**job_view(job), "deduplicated": added.deduplicated}


def run_again(request: SimulatedRequest, job: SimulatedJob, was: t.Literal["completed", "failed"]) -> None:
    """Clear what a finished job ended with, as it will run again."""
    job.finished_on = job.processed_on = None
    if was == "failed":
        job.failed_reason = None
    else:
        job.return_value = None
    request.simulation.store.reopen(job, was)


def _new_job(request: SimulatedRequest, body: NewJobBody, path: str) -> NewSimulatedJob:
    """Return a job to add, whose data is at `path` of the request. Raises Refusal if the data is too large."""
    opts = {**request.trace, **body.opts.given()}
    check_size(len(strict_json.compact(body.data)), opts, path)
    return NewSimulatedJob(
        request.names[0], body.name, body.data, opts, opts.get("timestamp") or request.now, opts.get("jobId")
    )


def _bulk_view(request: SimulatedRequest, new: NewSimulatedJob, added: SimulatedAdd) -> dict[str, t.Any]:
    view = added_view(request, new, added)
    shown = {"id": view["id"], "deduplicated": view.pop("deduplicated"), "state": view["state"]}
    return {**shown, "timestamp": view["timestamp"], "job": view if shown["deduplicated"] else None}


def _delayed(request: SimulatedRequest) -> SimulatedJob:
    job = request.job()
    if job.state != "delayed":
        raise wrong_state(*job.key, "is not delayed")
    return job
