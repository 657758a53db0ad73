"""/v1/queues/{queue}/jobs: add jobs, look at them, change them."""

from __future__ import annotations

import typing as t

from ....rules.states import STATES
from ..engine.adding import SimulatedAdd, SimulatedParentError, add_all
from ..engine.job import Key, NewSimulatedJob, SimulatedJob
from ..engine.limits import check_data, check_name, check_options
from ..engine.snapshots import result_of
from .refusals import Refusal, no_such_job, wrong_state
from .routing import Request, Router
from .views import by_name, dependencies_view, job_view

router = Router()
_JOB = "queues/*/jobs/*"


@router.route("POST", "queues/*/jobs", status=201)
def add_job(request: Request) -> dict[str, t.Any]:
    new = new_job(request, request.names[0], request.body)
    [added] = add(request, [new])
    return added_view(request, new, added)


@router.route("POST", "queues/*/jobs/bulk", status=201)
def add_jobs(request: Request) -> dict[str, t.Any]:
    pairs = enumerate(request.body["jobs"])
    new = [new_job(request, request.names[0], job, f"jobs.{index}.") for index, job in pairs]
    added = add(request, new)
    return {"jobs": [_bulk_view(request, job, one) for job, one in zip(new, added, strict=True)]}


@router.route("GET", "queues/*/jobs")
def get_jobs(request: Request) -> dict[str, t.Any]:
    queue = request.queue
    start, end = request.number("start", 0), request.number("end", 99) + 1
    wanted = request.query["states"].split(",") if "states" in request.query else STATES
    if unknown := sorted(set(wanted) - {*STATES, "paused"}):
        raise Refusal(422, "invalid_request", f"states: no such state as {', '.join(unknown)}")
    found: list[dict[str, t.Any]] = []
    for state in wanted:
        ids = queue.ids(state)
        if not request.flag("asc", default=False):
            ids.reverse()
        found += [job_view(queue.jobs[job_id]) for job_id in ids[start:end]]
    return {"jobs": found}


@router.route("GET", _JOB)
def get_job(request: Request) -> dict[str, t.Any]:
    return job_view(request.job())


@router.route("DELETE", _JOB)
def remove_job(request: Request) -> None:
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
def get_result(request: Request) -> dict[str, t.Any]:
    key = Key(*request.names[:2])
    job = request.simulation.store.find(key)
    result = result_of(job) if job else request.simulation.snapshots.get(key, request.now)
    if result is None:
        raise no_such_job(*key)
    return {**result}


@router.route("PUT", f"{_JOB}/progress")
def update_progress(request: Request) -> None:
    request.job().progress = request.body["progress"]


@router.route("PUT", f"{_JOB}/data")
def update_data(request: Request) -> None:
    job = request.job()
    check_data(request.body["data"], {}, "data")
    job.data = request.body["data"]


@router.route("POST", f"{_JOB}/logs")
def add_log(request: Request) -> dict[str, t.Any]:
    job, keep = request.job(), request.body.get("keepLogs")
    job.logs.append(request.body["row"])
    if keep is None:
        return {"count": len(job.logs)}
    job.logs = job.logs[-keep:]  # all of them where it is 0: so does BullMQ, which says 0 then
    return {"count": min(keep, len(job.logs))}


@router.route("GET", f"{_JOB}/logs")
def get_logs(request: Request) -> dict[str, t.Any]:
    job = request.job()
    start, end = request.number("start", 0), request.number("end", -1)
    rows = job.logs if request.flag("asc", default=True) else job.logs[::-1]
    return {"logs": rows[start : None if end == -1 else end + 1], "count": len(rows)}


@router.route("DELETE", f"{_JOB}/logs")
def clear_logs(request: Request) -> None:
    job, keep = request.job(), request.number("keep", 0)
    job.logs = job.logs[-keep:] if keep else []


@router.route("POST", f"{_JOB}/retry")
def retry_job(request: Request) -> None:
    job, body = request.job(), request.body
    state = body.get("state", "failed")
    if job.state != state:
        raise wrong_state(*job.key, f"is not {state}")
    if body.get("resetAttemptsMade"):
        job.attempts_made = 0
    if body.get("resetAttemptsStarted"):
        job.attempts_started = 0
    request.queue.detach(job)
    run_again(request, job, state)
    request.queue.push_in_turn(job, is_next=bool(job.opts.get("lifo")))


@router.route("POST", f"{_JOB}/promote")
def promote_job(request: Request) -> None:
    job = _delayed(request)
    request.queue.detach(job)
    job.delay = 0
    request.queue.push(job)


@router.route("PUT", f"{_JOB}/delay")
def change_delay(request: Request) -> None:
    job = _delayed(request)
    request.queue.detach(job)
    job.delay = request.body["delay"]
    request.queue.postpone(job, request.now + job.delay)


@router.route("PUT", f"{_JOB}/priority")
def change_priority(request: Request) -> None:
    job, body = request.job(), request.body
    check_options({"priority": body["priority"]}, "body")
    waits = job.state in ("waiting", "prioritized")
    if waits:
        request.queue.detach(job)
    job.priority = body["priority"]
    if waits:
        request.queue.push(job, is_next=bool(body.get("lifo")))


@router.route("DELETE", f"{_JOB}/deduplication-key")
def remove_deduplication_key(request: Request) -> dict[str, t.Any]:
    job = request.job()
    return {"removed": request.simulation.store.deduplicators[job.key.queue].removed(job, request.now)}


@router.route("GET", f"{_JOB}/children-values")
def get_children_values(request: Request) -> dict[str, t.Any]:
    return {"values": by_name(request.job().processed_children)}


@router.route("GET", f"{_JOB}/ignored-failures")
def get_ignored_failures(request: Request) -> dict[str, t.Any]:
    return {"failures": by_name(request.job().ignored_children)}


@router.route("GET", f"{_JOB}/dependencies")
def get_dependencies(request: Request) -> dict[str, t.Any]:
    return dependencies_view(request.job(), request.number("limit", 1000))


@router.route("DELETE", f"{_JOB}/parent")
def remove_child_dependency(request: Request) -> dict[str, t.Any]:
    job = request.job()
    removed = request.simulation.store.part(job)
    if removed:
        job.parent_key = None
    return {"removed": removed}


@router.route("DELETE", f"{_JOB}/children")
def remove_unprocessed_children(request: Request) -> None:
    request.simulation.store.remove_unprocessed(request.job())


def new_job(request: Request, queue: str, given: dict[str, t.Any], path: str = "") -> NewSimulatedJob:
    """A job to add, checked; it is at `path` of the request, which ends with a dot. Raises Refusal."""
    opts: dict[str, t.Any] = {**request.trace, **(given.get("opts") or {})}
    check_name(given["name"], f"{path}name")
    check_options(opts, f"{path}opts")
    check_data(given.get("data"), opts, f"{path}data")
    timestamp = opts.get("timestamp") or request.now
    return NewSimulatedJob(queue, given["name"], given.get("data"), opts, timestamp, opts.get("jobId"))


def add(request: Request, jobs: t.Sequence[NewSimulatedJob]) -> list[SimulatedAdd]:
    """Add the jobs; what stands against it is a Refusal."""
    try:
        return add_all(request.simulation.store, jobs)
    except SimulatedParentError as exc:
        parent = exc.new.opts["parent"]
        text = f"the parent of job {exc.index}, {parent['queue']}/{parent['id']}, {exc}"
        status, code = (404, "not_found") if exc.is_gone else (409, "parent_cannot_be_replaced")
        raise Refusal(status, code, text, parent=parent) from None


def added_view(request: Request, new: NewSimulatedJob, added: SimulatedAdd) -> dict[str, t.Any]:
    """A job that was just added, or was there already."""
    job = request.simulation.store.find(Key(new.queue, added.id))
    if job is None:
        raise no_such_job(new.queue, added.id)
    return {**job_view(job), "deduplicated": added.deduplicated}


def run_again(request: Request, job: SimulatedJob, was: t.Literal["completed", "failed"]) -> None:
    """A finished job is one that has not finished any more."""
    job.finished_on = job.processed_on = None
    if was == "failed":
        job.failed_reason = None
    else:
        job.return_value = None
    request.simulation.store.reopen(job, was)


def _bulk_view(request: Request, new: NewSimulatedJob, added: SimulatedAdd) -> dict[str, t.Any]:
    view = added_view(request, new, added)
    shown = {"id": view["id"], "deduplicated": view.pop("deduplicated"), "state": view["state"]}
    return {**shown, "timestamp": view["timestamp"], "job": view if shown["deduplicated"] else None}


def _delayed(request: Request) -> SimulatedJob:
    job = request.job()
    if job.state != "delayed":
        raise wrong_state(*job.key, "is not delayed")
    return job
