"""/v1/queues/{queue}: queues as a whole, their limits, their schedulers."""

from __future__ import annotations

import typing as t

from ....rules.states import FAILURE_POLICIES
from ..engine.job import NewSimulatedJob
from ..engine.limits import check_data, check_limits, check_scheduler
from ..engine.queue_state import Rate
from ..engine.schedulers import InvalidTimes, NoSlotLeft, SimulatedScheduler
from .jobs import run_again
from .refusals import Refusal
from .routing import Request, Router
from .views import counts, queue_view, scheduler_view

router = Router()
_QUEUE = "queues/*"
_OF_THE_FIRST_RUN = frozenset(
    (
        *("deduplication", "delay", "jobId", "parent", "prevMillis", "repeat", "repeatJobKey", "timestamp"),
        *FAILURE_POLICIES,
    )
)


@router.route("GET", "queues")
def get_queues(request: Request) -> dict[str, t.Any]:
    queues = request.simulation.store.queues
    return {"queues": [queue_view(queues[name], request.now) for name in sorted(queues)]}


@router.route("GET", _QUEUE)
def get_queue(request: Request) -> dict[str, t.Any]:
    return queue_view(request.queue, request.now)


@router.route("GET", f"{_QUEUE}/counts")
def get_counts(request: Request) -> dict[str, t.Any]:
    return counts(request.queue)


@router.route("GET", f"{_QUEUE}/counts-per-priority")
def get_counts_per_priority(request: Request) -> dict[str, t.Any]:
    queue = request.queue
    waiting = [queue.jobs[job_id].priority for state in ("waiting", "prioritized") for job_id in queue.ids(state)]
    wanted = request.query["priorities"].split(",")
    return {"counts": {priority: waiting.count(int(priority)) for priority in wanted}}


@router.route("GET", f"{_QUEUE}/workers")
def get_workers(request: Request) -> dict[str, t.Any]:
    return {"workers": []}


@router.route("GET", f"{_QUEUE}/maxed")
def is_maxed(request: Request) -> dict[str, t.Any]:
    return {"isMaxed": request.queue.is_maxed}


@router.route("POST", f"{_QUEUE}/pause")
def pause(request: Request) -> None:
    request.queue.is_paused = True


@router.route("POST", f"{_QUEUE}/resume")
def resume(request: Request) -> None:
    request.queue.is_paused = False


@router.route("POST", f"{_QUEUE}/drain")
def drain(request: Request) -> None:
    states = ("waiting", "prioritized", "delayed") if request.body["delayed"] else ("waiting", "prioritized")
    schedulers = request.simulation.schedulers.of(request.names[0]).values()
    kept = {scheduler.newest_job for scheduler in schedulers}
    doomed = [job_id for state in states for job_id in request.queue.ids(state) if job_id not in kept]
    for job_id in doomed:
        request.simulation.store.remove(request.queue.jobs[job_id])


@router.route("POST", f"{_QUEUE}/retry-jobs")
def retry_jobs(request: Request) -> None:
    queue, state = request.queue, request.body["state"]
    before = request.now if request.body.get("timestamp") is None else request.body["timestamp"]
    for job_id in queue.ids(state):
        job = queue.jobs[job_id]
        if (job.finished_on or 0) <= before:
            queue.detach(job)
            run_again(request, job, state)
            queue.push_plain(job)


@router.route("POST", f"{_QUEUE}/promote-jobs")
def promote_jobs(request: Request) -> None:
    queue = request.queue
    delayed = queue.ids("delayed")
    queue.delayed.clear()
    for job_id in delayed:
        queue.push_plain(queue.jobs[job_id])


@router.route("POST", f"{_QUEUE}/redrive")
def redrive(request: Request) -> dict[str, t.Any]:
    body, redriven = request.body, list[str]()
    states = ("waiting", "prioritized", "delayed", "completed", "failed")
    ids = body["ids"]
    if ids is None:
        ids = [job_id for state in states for job_id in request.queue.ids(state)]
    for job_id in dict.fromkeys(ids):
        if len(redriven) < body["limit"] and _redrive(request, job_id):
            redriven.append(job_id)
    return {"redriven": redriven}


@router.route("GET", f"{_QUEUE}/concurrency")
def get_global_concurrency(request: Request) -> dict[str, t.Any]:
    return {"concurrency": request.queue.global_concurrency}


@router.route("PUT", f"{_QUEUE}/concurrency")
def set_global_concurrency(request: Request) -> None:
    check_limits(**request.body)
    request.queue.global_concurrency = request.body["concurrency"]


@router.route("DELETE", f"{_QUEUE}/concurrency")
def remove_global_concurrency(request: Request) -> None:
    request.queue.global_concurrency = None


@router.route("GET", f"{_QUEUE}/rate-limit")
def get_global_rate_limit(request: Request) -> dict[str, t.Any]:
    rate = request.queue.global_rate
    return {"rateLimit": rate and rate._asdict()}


@router.route("PUT", f"{_QUEUE}/rate-limit")
def set_global_rate_limit(request: Request) -> None:
    check_limits(**request.body)
    request.queue.global_rate = Rate(request.body["max"], request.body["duration"])


@router.route("DELETE", f"{_QUEUE}/rate-limit")
def remove_global_rate_limit(request: Request) -> None:
    request.queue.global_rate = None


@router.route("GET", f"{_QUEUE}/rate-limited")
def get_rate_limit_ttl(request: Request) -> dict[str, t.Any]:
    queue = request.queue
    limit = request.number("maxJobs", 0) or (queue.global_rate.max if queue.global_rate else 0)
    return {"ttl": queue.starts.rest_left(limit, request.now)}


@router.route("PUT", f"{_QUEUE}/rate-limited")
def rate_limit(request: Request) -> None:
    check_limits(**request.body)
    request.queue.starts.rest(request.body["duration"], request.now)


@router.route("DELETE", f"{_QUEUE}/rate-limited")
def remove_rate_limit_key(request: Request) -> dict[str, t.Any]:
    return {"removed": request.queue.starts.forget(request.now)}


@router.route("GET", f"{_QUEUE}/deduplication/*")
def get_deduplication_job_id(request: Request) -> dict[str, t.Any]:
    queue, id = request.names
    job_id = request.simulation.store.deduplicators[request.queue.name].holder(id, request.now)
    if job_id is None:
        raise Refusal(404, "not_found", f"queue {queue} has no job with deduplication id {id}")
    return {"jobId": job_id}


@router.route("DELETE", f"{_QUEUE}/deduplication/*")
def remove_deduplication_key(request: Request) -> dict[str, t.Any]:
    deduplicator = request.simulation.store.deduplicators[request.queue.name]
    return {"removed": deduplicator.forget(request.names[1], request.now)}


@router.route("GET", f"{_QUEUE}/schedulers")
def get_schedulers(request: Request) -> dict[str, t.Any]:
    found = [*request.simulation.schedulers.of(request.names[0]).values()]
    found.sort(key=lambda one: (one.next, one.id), reverse=not request.flag("asc", default=True))
    page = found[request.number("start", 0) : request.number("end", 99) + 1]
    return {"schedulers": [_scheduler_view(request, one) for one in page], "count": len(found)}


@router.route("GET", f"{_QUEUE}/schedulers/*")
def get_scheduler(request: Request) -> dict[str, t.Any]:
    queue, id = request.names
    found = request.simulation.schedulers.of(queue).get(id)
    if found is None:
        raise Refusal(404, "not_found", f"queue {queue} has no job scheduler {id}")
    return _scheduler_view(request, found)


@router.route("PUT", f"{_QUEUE}/schedulers/*")
def upsert_scheduler(request: Request) -> dict[str, t.Any]:
    queue, id = request.names
    repeat, template = request.body["repeat"], request.body["template"]
    opts: dict[str, t.Any] = template.get("opts", {})
    check_scheduler(id, repeat, opts)
    check_data(template.get("data"), opts, "template.data")
    new = SimulatedScheduler(queue, id, template.get("name") or id, template.get("data"), opts, {**repeat})
    try:
        made = request.simulation.schedulers.upsert(new)
    except InvalidTimes as exc:
        raise Refusal(422, "invalid_request", f"repeat.{exc}") from None
    except NoSlotLeft as exc:
        raise Refusal(409, "wrong_state", f"job scheduler {id} of queue {queue} {exc}") from None
    job = request.simulation.schedulers.pending(made)
    shown = job and {"id": job.id, "delay": max(0, made.next - request.now)}
    return {"scheduler": _scheduler_view(request, made), "job": shown}


@router.route("DELETE", f"{_QUEUE}/schedulers/*")
def remove_scheduler(request: Request) -> dict[str, t.Any]:
    return {"removed": request.simulation.schedulers.remove(*request.names)}


@router.route("PUT", f"{_QUEUE}/worker")
def register_worker(request: Request) -> dict[str, t.Any]:
    """The simulator was given its workers: a registration changes nothing."""
    return {**request.body, "lastSeen": request.now}


@router.route("DELETE", f"{_QUEUE}/worker")
def unregister_worker(request: Request) -> None:
    """As for a registration."""


def _scheduler_view(request: Request, scheduler: SimulatedScheduler) -> dict[str, t.Any]:
    is_pending = request.simulation.schedulers.pending(scheduler) is not None
    return scheduler_view(scheduler, scheduler.next if is_pending else None)


def _redrive(request: Request, job_id: str) -> bool:
    store, body = request.simulation.store, request.body
    letter = request.queue.jobs.get(job_id)
    if letter is None or letter.state in ("active", "waiting-children") or not _is_letter(letter.data):
        return False
    data: dict[str, t.Any] = letter.data
    if body["name"] not in (None, data["name"]) or (body["reason"] or "") not in data["reason"]:
        return False
    target = store.queue(data["queue"])
    opts = {name: value for name, value in data["opts"].items() if name not in _OF_THE_FIRST_RUN}
    new_id, first_id = target.new_id(), data["id"]
    keeps_id = not first_id.isdecimal() and ":" not in first_id and first_id not in target.jobs
    new = NewSimulatedJob(target.name, data["name"], data["data"], opts, request.now)
    store.put(new, first_id if keeps_id else new_id)
    store.remove(letter)
    return True


def _is_letter(data: t.Any) -> bool:
    members = ("queue", "id", "name", "data", "opts", "attemptsMade", "reason", "stacktrace", "status", "failedAt")
    return isinstance(data, dict) and all(name in data for name in members)
