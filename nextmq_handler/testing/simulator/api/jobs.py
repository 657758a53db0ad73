"""/v1/queues/{queue}/jobs: add jobs, look at them, change them."""

from __future__ import annotations

import typing as t

from ....rules.limits import MAX_NAME, MAX_PAGE, MAX_WAIT
from ....rules.refusals import check_size, no_such_job, wanted_states, wrong_state
from ....rules.views import JobView, by_name
from ..engine.adding import SimulatedAdd, add_all
from ..engine.job import Key, NewSimulatedJob, SimulatedJob
from .routing import ROUTER, SimulatedRequest, read
from .views import dependencies_view, job_view

if t.TYPE_CHECKING:
    from ....rules import bodies
    from ..engine.delivering import Steps
    from ..engine.queue_state import QueueState
    from ..engine.store import Store

_JOB = "queues/*/jobs/*"


@ROUTER.route("POST", "queues/*/jobs", status=201)
def add_job(request: SimulatedRequest) -> dict[str, t.Any]:
    content = request.content
    if _is_plain(**content):
        new = _new_job(request, content["name"], content["data"], {}, "data")
    else:
        body: bodies.NewJobBody = read("bodies.NewJobBody", content)
        new = _new_job(request, body.name, body.data, body.opts.given(), "data")
    [added] = add_all(request.store, [new])
    return added_view(request.store, new, added)


@ROUTER.route("POST", "queues/*/jobs/bulk", status=201)
def add_jobs(request: SimulatedRequest, store: Store, body: bodies.NewJobsBody) -> dict[str, t.Any]:
    new = [
        _new_job(request, job.name, job.data, job.opts.given(), f"jobs.{index}.data")
        for index, job in enumerate(body.jobs)
    ]
    added = add_all(store, new)
    return {"jobs": [_bulk_view(store, job, one) for job, one in zip(new, added, strict=True)]}


@ROUTER.route("GET", "queues/*/jobs")
def get_jobs(request: SimulatedRequest, queue: QueueState) -> dict[str, t.Any]:
    page = request.page()
    found: list[JobView] = []
    for state in wanted_states(request.query.get("states")):
        jobs = queue.by_state[state][:: 1 if request.flag("asc", default=False) else -1]
        found += [job_view(job) for job in jobs[page]]
    return {"jobs": found}


@ROUTER.route("GET", _JOB)
def get_job(job: SimulatedJob) -> JobView:
    return job_view(job)


@ROUTER.route("DELETE", _JOB)
def remove_job(request: SimulatedRequest, store: Store, job: SimulatedJob) -> None:
    with_children = request.flag("removeChildren", default=True)
    doomed = store.family(job) if with_children else [job]
    if any(one.state == "active" for one in doomed):
        raise wrong_state(*job.key, "is running, or one of its children is", code="job_locked")
    if request.simulation.schedulers.of_newest(job):
        raise wrong_state(*job.key, "is a job scheduler's next one: remove the scheduler")
    for one in doomed:
        store.remove(one)
        store.release(one)
        store.results.pop(one.key, None)


@ROUTER.route("GET", f"{_JOB}/result")
def get_result(request: SimulatedRequest, store: Store) -> Steps[dict[str, t.Any]]:
    key, wait = Key(*request.names), request.number("wait", 0, high=MAX_WAIT)
    job = store.find(key)
    if job is not None and wait:
        yield from request.simulation.run_until_finished(job, store.now + wait)
        if job.finished_on is not None:  # there may be another job with this id by now
            return {**job.result}
    result = store.result(key)
    if result is None:
        raise no_such_job(*key)
    return {**result}


@ROUTER.route("PUT", f"{_JOB}/progress")
def update_progress(job: SimulatedJob, body: bodies.ProgressBody) -> None:
    job.progress = body.progress


@ROUTER.route("PUT", f"{_JOB}/data")
def update_data(job: SimulatedJob, body: bodies.DataBody) -> None:
    job.data = body.data


@ROUTER.route("POST", f"{_JOB}/logs")
def add_log(job: SimulatedJob, body: bodies.LogRowBody) -> dict[str, t.Any]:
    keep = body.keepLogs
    job.logs.append(body.row)
    if keep is None:
        return {"count": len(job.logs)}
    job.logs = job.logs[-keep:]  # like BullMQ, keep all of them and return 0 if `keep` is 0
    return {"count": min(keep, len(job.logs))}


@ROUTER.route("GET", f"{_JOB}/logs")
def get_logs(request: SimulatedRequest, job: SimulatedJob) -> dict[str, t.Any]:
    start, end = request.number("start", 0), request.number("end", -1, low=-1)
    last = start + MAX_PAGE - 1
    last = last if end == -1 else min(end, last)
    rows = job.logs if request.flag("asc", default=True) else job.logs[::-1]
    return {"logs": rows[start : last + 1], "count": len(rows)}


@ROUTER.route("DELETE", f"{_JOB}/logs")
def clear_logs(request: SimulatedRequest, job: SimulatedJob) -> None:
    keep = request.number("keep", 0)
    job.logs = job.logs[-keep:] if keep else []


@ROUTER.route("POST", f"{_JOB}/retry")
def retry_job(store: Store, queue: QueueState, job: SimulatedJob, body: bodies.RetryBody) -> None:
    if job.state != body.state:
        raise wrong_state(*job.key, f"is not {body.state}")
    if body.resetAttemptsMade:
        job.attempts_made = 0
    if body.resetAttemptsStarted:
        job.attempts_started = 0
    if body.has_data:
        job.data = body.data
    run_again(store, job, body.state)
    queue.push_in_turn(job, is_next=bool(job.opts.get("lifo")))


@ROUTER.route("POST", f"{_JOB}/promote")
def promote_job(queue: QueueState, job: SimulatedJob) -> None:
    _check_delayed(job)
    job.delay = 0
    queue.push(job)


@ROUTER.route("PUT", f"{_JOB}/delay")
def change_delay(request: SimulatedRequest, queue: QueueState, job: SimulatedJob, body: bodies.DelayBody) -> None:
    _check_delayed(job)
    job.delay = body.delay
    queue.postpone(job, request.now + job.delay)


@ROUTER.route("PUT", f"{_JOB}/priority")
def change_priority(queue: QueueState, job: SimulatedJob, body: bodies.PriorityBody) -> None:
    job.priority = body.priority
    if job.state in ("waiting", "prioritized"):
        queue.push(job, is_next=body.lifo)


@ROUTER.route("DELETE", f"{_JOB}/deduplication-key")
def remove_deduplication_key(store: Store, job: SimulatedJob) -> dict[str, t.Any]:
    return {"removed": store.release(job)}


@ROUTER.route("GET", f"{_JOB}/children-values")
def get_children_values(job: SimulatedJob) -> dict[str, t.Any]:
    return {"values": by_name(job.processed_children)}


@ROUTER.route("GET", f"{_JOB}/ignored-failures")
def get_ignored_failures(job: SimulatedJob) -> dict[str, t.Any]:
    return {"failures": by_name(job.ignored_children)}


@ROUTER.route("GET", f"{_JOB}/dependencies")
def get_dependencies(request: SimulatedRequest, job: SimulatedJob) -> dict[str, t.Any]:
    return dependencies_view(job, request.number("limit", MAX_PAGE, low=1, high=MAX_PAGE))


@ROUTER.route("DELETE", f"{_JOB}/parent")
def remove_child_dependency(store: Store, job: SimulatedJob) -> dict[str, t.Any]:
    removed = store.part(job)
    if removed:
        job.parent_key = None
    return {"removed": removed}


@ROUTER.route("DELETE", f"{_JOB}/children")
def remove_unprocessed_children(store: Store, job: SimulatedJob) -> None:
    store.remove_unprocessed(job)


def added_view(store: Store, new: NewSimulatedJob, added: SimulatedAdd) -> dict[str, t.Any]:
    """Return a job that was just added, or was there already."""
    job = store.find(Key(new.queue, added.id))
    if job is None:
        raise no_such_job(new.queue, added.id)
    return {**job_view(job), "deduplicated": added.deduplicated}


def run_again(store: Store, job: SimulatedJob, was: t.Literal["completed", "failed"]) -> None:
    """Clear what a finished job ended with, as it will run again."""
    job.finished_on = job.processed_on = None
    if was == "failed":
        job.failed_reason = None
    else:
        job.return_value = None
    store.reopen(job, was)
    store.results.pop(job.key, None)
    store.take_letters(job)


def _is_plain(name: object, opts: object, data: object = None) -> bool:  # noqa: ARG001 - any data is plain
    """Return whether a job needs no check: it has an ordinary name and no options."""
    return opts == {} and isinstance(name, str) and 0 < len(name) <= MAX_NAME and name.isprintable()


def _new_job(
    request: SimulatedRequest, name: str, data: t.Any, options: dict[str, t.Any], path: str
) -> NewSimulatedJob:
    """Return a job to add, whose data is at `path` of the request. Raises Refusal if the data is too large."""
    opts = {**request.trace, **options}
    check_size(data, opts, path)
    return NewSimulatedJob(
        request.names[0], name, data, opts, opts.get("timestamp") or request.now, opts.get("jobId")
    )


def _bulk_view(store: Store, new: NewSimulatedJob, added: SimulatedAdd) -> dict[str, t.Any]:
    view = added_view(store, new, added)
    shown = {"id": view["id"], "deduplicated": view.pop("deduplicated"), "state": view["state"]}
    return {**shown, "timestamp": view["timestamp"], "job": view if shown["deduplicated"] else None}


def _check_delayed(job: SimulatedJob) -> None:
    if job.state != "delayed":
        raise wrong_state(*job.key, "is not delayed")
