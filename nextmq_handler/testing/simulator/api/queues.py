"""/v1/queues/{queue}: queues as a whole, their limits, their schedulers."""

from __future__ import annotations

import typing as t

from ....rules.bodies import (
    ConcurrencyBody,
    DrainBody,
    RateLimitBody,
    RedriveBody,
    RestBody,
    RetryJobsBody,
    SchedulerBody,
)
from ....rules.dead_letters import read_dead_letter, redriven_options
from ....rules.job_ids import is_custom_id
from ....rules.refusals import Refusal, no_such_scheduler, not_deduplicated, wrong_scheduler_state
from ....rules.schedules import check_scheduler_id
from ..engine.job import NewSimulatedJob
from ..engine.queue_state import Rate
from ..engine.schedulers import InvalidTimes, NoSlotLeft, SimulatedScheduler
from .jobs import run_again
from .routing import Router, SimulatedRequest
from .views import counts, queue_view, scheduler_view

router: Router = Router()
_QUEUE = "queues/*"


@router.route("GET", "queues")
def get_queues(request: SimulatedRequest) -> dict[str, t.Any]:
    queues = request.simulation.store.queues
    return {"queues": [queue_view(queues[name], request.now) for name in sorted(queues)]}


@router.route("GET", _QUEUE)
def get_queue(request: SimulatedRequest) -> dict[str, t.Any]:
    return queue_view(request.queue, request.now)


@router.route("GET", f"{_QUEUE}/counts")
def get_counts(request: SimulatedRequest) -> dict[str, t.Any]:
    return counts(request.queue)


@router.route("GET", f"{_QUEUE}/counts-per-priority")
def get_counts_per_priority(request: SimulatedRequest) -> dict[str, t.Any]:
    queue = request.queue
    waiting = [queue.jobs[job_id].priority for state in ("waiting", "prioritized") for job_id in queue.ids(state)]
    wanted = request.query["priorities"].split(",")
    return {"counts": {priority: waiting.count(int(priority)) for priority in wanted}}


@router.route("GET", f"{_QUEUE}/workers")
def get_workers(_request: SimulatedRequest) -> dict[str, t.Any]:
    return {"workers": []}


@router.route("GET", f"{_QUEUE}/maxed")
def is_maxed(request: SimulatedRequest) -> dict[str, t.Any]:
    return {"isMaxed": request.queue.is_maxed}


@router.route("POST", f"{_QUEUE}/pause")
def pause(request: SimulatedRequest) -> None:
    request.queue.is_paused = True


@router.route("POST", f"{_QUEUE}/resume")
def resume(request: SimulatedRequest) -> None:
    request.queue.is_paused = False


@router.route("POST", f"{_QUEUE}/drain", body=DrainBody)
def drain(request: SimulatedRequest) -> None:
    states = ("waiting", "prioritized", "delayed") if request.body.delayed else ("waiting", "prioritized")
    schedulers = request.simulation.schedulers.of(request.names[0]).values()
    kept = {scheduler.newest_job for scheduler in schedulers}
    doomed = [job_id for state in states for job_id in request.queue.ids(state) if job_id not in kept]
    for job_id in doomed:
        request.simulation.store.remove(request.queue.jobs[job_id])


@router.route("POST", f"{_QUEUE}/retry-jobs", body=RetryJobsBody)
def retry_jobs(request: SimulatedRequest) -> None:
    body: RetryJobsBody = request.body
    queue, before = request.queue, request.now if body.timestamp is None else body.timestamp
    for job_id in queue.ids(body.state):
        job = queue.jobs[job_id]
        if (job.finished_on or 0) <= before:
            queue.detach(job)
            run_again(request, job, body.state)
            queue.push_plain(job)


@router.route("POST", f"{_QUEUE}/promote-jobs")
def promote_jobs(request: SimulatedRequest) -> None:
    queue = request.queue
    delayed = queue.ids("delayed")
    queue.delayed.clear()
    for job_id in delayed:
        queue.push_plain(queue.jobs[job_id])


@router.route("POST", f"{_QUEUE}/redrive", body=RedriveBody)
def redrive(request: SimulatedRequest) -> dict[str, t.Any]:
    body: RedriveBody = request.body
    redriven = list[str]()
    states = ("waiting", "prioritized", "delayed", "completed", "failed")
    ids = body.ids
    if ids is None:
        ids = [job_id for state in states for job_id in request.queue.ids(state)]
    for job_id in dict.fromkeys(ids):
        if len(redriven) < body.limit and _redrive(request, job_id, body):
            redriven.append(job_id)
    return {"redriven": redriven}


@router.route("GET", f"{_QUEUE}/concurrency")
def get_global_concurrency(request: SimulatedRequest) -> dict[str, t.Any]:
    return {"concurrency": request.queue.global_concurrency}


@router.route("PUT", f"{_QUEUE}/concurrency", body=ConcurrencyBody)
def set_global_concurrency(request: SimulatedRequest) -> None:
    request.queue.global_concurrency = request.body.concurrency


@router.route("DELETE", f"{_QUEUE}/concurrency")
def remove_global_concurrency(request: SimulatedRequest) -> None:
    request.queue.global_concurrency = None


@router.route("GET", f"{_QUEUE}/rate-limit")
def get_global_rate_limit(request: SimulatedRequest) -> dict[str, t.Any]:
    rate = request.queue.global_rate
    return {"rateLimit": rate and rate._asdict()}


@router.route("PUT", f"{_QUEUE}/rate-limit", body=RateLimitBody)
def set_global_rate_limit(request: SimulatedRequest) -> None:
    request.queue.global_rate = Rate(request.body.max, request.body.duration)


@router.route("DELETE", f"{_QUEUE}/rate-limit")
def remove_global_rate_limit(request: SimulatedRequest) -> None:
    request.queue.global_rate = None


@router.route("GET", f"{_QUEUE}/rate-limited")
def get_rate_limit_ttl(request: SimulatedRequest) -> dict[str, t.Any]:
    queue = request.queue
    limit = request.number("maxJobs", 0) or (queue.global_rate.max if queue.global_rate else 0)
    return {"ttl": queue.starts.rest_left(limit, request.now)}


@router.route("PUT", f"{_QUEUE}/rate-limited", body=RestBody)
def rate_limit(request: SimulatedRequest) -> None:
    request.queue.starts.rest(request.body.duration, request.now)


@router.route("DELETE", f"{_QUEUE}/rate-limited")
def remove_rate_limit_key(request: SimulatedRequest) -> dict[str, t.Any]:
    return {"removed": request.queue.starts.forget(request.now)}


@router.route("GET", f"{_QUEUE}/deduplication/*")
def get_deduplication_job_id(request: SimulatedRequest) -> dict[str, t.Any]:
    queue, id = request.names
    job_id = request.simulation.store.deduplicators[request.queue.name].holder(id, request.now)
    if job_id is None:
        raise not_deduplicated(queue, id)
    return {"jobId": job_id}


@router.route("DELETE", f"{_QUEUE}/deduplication/*")
def remove_deduplication_key(request: SimulatedRequest) -> dict[str, t.Any]:
    deduplicator = request.simulation.store.deduplicators[request.queue.name]
    return {"removed": deduplicator.forget(request.names[1], request.now)}


@router.route("GET", f"{_QUEUE}/schedulers")
def get_schedulers(request: SimulatedRequest) -> dict[str, t.Any]:
    found = [*request.simulation.schedulers.of(request.names[0]).values()]
    found.sort(key=lambda one: (one.next, one.id), reverse=not request.flag("asc", default=True))
    page = found[request.number("start", 0) : request.number("end", 99) + 1]
    return {"schedulers": [_scheduler_view(request, one) for one in page], "count": len(found)}


@router.route("GET", f"{_QUEUE}/schedulers/*")
def get_scheduler(request: SimulatedRequest) -> dict[str, t.Any]:
    queue, id = request.names
    found = request.simulation.schedulers.of(queue).get(id)
    if found is None:
        raise no_such_scheduler(queue, id)
    return _scheduler_view(request, found)


@router.route("PUT", f"{_QUEUE}/schedulers/*", body=SchedulerBody)
def upsert_scheduler(request: SimulatedRequest) -> dict[str, t.Any]:
    queue, id = request.names
    body: SchedulerBody = request.body
    check_scheduler_id(id)
    new = SimulatedScheduler(queue, id, body.repeat.given(), body.template_of(id))
    try:
        made = request.simulation.schedulers.upsert(new)
    except InvalidTimes as exc:
        raise Refusal(422, "invalid_request", f"repeat.{exc}") from None
    except NoSlotLeft as exc:
        raise wrong_scheduler_state(queue, id, exc) from None
    job = request.simulation.schedulers.pending(made)
    shown = job and {"id": job.id, "delay": max(0, made.next - request.now)}
    return {"scheduler": _scheduler_view(request, made), "job": shown}


@router.route("DELETE", f"{_QUEUE}/schedulers/*")
def remove_scheduler(request: SimulatedRequest) -> dict[str, t.Any]:
    return {"removed": request.simulation.schedulers.remove(*request.names)}


def _scheduler_view(request: SimulatedRequest, scheduler: SimulatedScheduler) -> dict[str, t.Any]:
    is_pending = request.simulation.schedulers.pending(scheduler) is not None
    return scheduler_view(scheduler, scheduler.next if is_pending else None)


def _redrive(request: SimulatedRequest, job_id: str, wanted: RedriveBody) -> bool:
    store, job = request.simulation.store, request.queue.jobs.get(job_id)
    if job is None or job.state in ("active", "waiting-children") or job.scheduler_id:
        return False
    dead_letter = read_dead_letter(job.data)
    if dead_letter is None or dead_letter["queue"] == request.queue.name or not wanted.selects(dead_letter):
        return False
    target = store.queue(dead_letter["queue"])
    new_id, first_id = target.new_id(), dead_letter["id"]
    keeps_id = is_custom_id(first_id) and first_id not in target.jobs
    opts = redriven_options(dead_letter)
    new = NewSimulatedJob(target.name, dead_letter["name"], dead_letter["data"], opts, request.now)
    store.put(new, first_id if keeps_id else new_id)
    store.remove(job)
    return True
