"""/v1/queues/{queue}: queues as a whole, their limits, their schedulers."""

from __future__ import annotations

import contextlib
import typing as t

from ....rules.cron import InvalidSchedule, first_problem
from ....rules.job_ids import is_custom_id
from ....rules.limits import MAX_STARTS
from ....rules.queries import priorities_of
from ....rules.refusals import Refusal, invalid, no_such_scheduler, not_deduplicated
from ..engine.adding import add_all
from ..engine.job import Key, NewSimulatedJob
from ..engine.queue_state import Rate
from ..engine.schedulers import SimulatedScheduler
from .jobs import run_again
from .routing import ROUTER, SimulatedRequest
from .views import counts, queue_view, scheduler_view

if t.TYPE_CHECKING:
    from ....rules import bodies
    from ..engine.queue_state import QueueState
    from ..engine.store import Store

_QUEUE = "queues/*"


@ROUTER.route("GET", "queues")
def get_queues(store: Store) -> dict[str, t.Any]:
    return {"queues": [queue_view(store.queues[name], store.now) for name in sorted(store.queues)]}


@ROUTER.route("GET", _QUEUE)
def get_queue(request: SimulatedRequest, queue: QueueState) -> dict[str, t.Any]:
    return queue_view(queue, request.now)


@ROUTER.route("GET", f"{_QUEUE}/counts")
def get_counts(queue: QueueState) -> dict[str, t.Any]:
    return counts(queue)


@ROUTER.route("GET", f"{_QUEUE}/counts-per-priority")
def get_counts_per_priority(request: SimulatedRequest, queue: QueueState) -> dict[str, t.Any]:
    waiting = [job.priority for state in ("waiting", "prioritized") for job in queue.by_state[state]]
    return {
        "counts": {str(number): waiting.count(number) for number in priorities_of(request.query["priorities"])}
    }


@ROUTER.route("GET", f"{_QUEUE}/workers")
def get_workers() -> dict[str, t.Any]:
    return {"workers": []}


@ROUTER.route("GET", f"{_QUEUE}/maxed")
def is_maxed(queue: QueueState) -> dict[str, t.Any]:
    return {"isMaxed": queue.is_maxed}


@ROUTER.route("POST", f"{_QUEUE}/pause")
def pause(queue: QueueState) -> None:
    queue.is_paused = True


@ROUTER.route("POST", f"{_QUEUE}/resume")
def resume(queue: QueueState) -> None:
    queue.is_paused = False


@ROUTER.route("POST", f"{_QUEUE}/drain")
def drain(request: SimulatedRequest, queue: QueueState, body: bodies.DrainBody) -> None:
    states = ("waiting", "prioritized", "delayed") if body.delayed else ("waiting", "prioritized")
    for job in [job for state in states for job in queue.by_state[state]]:
        if not request.simulation.schedulers.of_newest(job):
            request.store.remove(job)


@ROUTER.route("POST", f"{_QUEUE}/retry-jobs")
def retry_jobs(store: Store, queue: QueueState, body: bodies.RetryJobsBody) -> None:
    before = store.now if body.timestamp is None else body.timestamp
    for job in [*queue.by_state[body.state]]:
        if (job.finished_on or 0) <= before:
            run_again(store, job, body.state)
            queue.enter(job, "waiting")


@ROUTER.route("POST", f"{_QUEUE}/promote-jobs")
def promote_jobs(queue: QueueState) -> None:
    for job in [*queue.by_state["delayed"]]:
        queue.enter(job, "waiting")


@ROUTER.route("POST", f"{_QUEUE}/redrive")
def redrive(store: Store, queue: QueueState, body: bodies.RedriveBody) -> dict[str, t.Any]:
    redriven = list[str]()
    states = ("waiting", "prioritized", "delayed", "completed", "failed")
    ids = body.ids
    if ids is None:
        ids = [job.id for state in states for job in queue.by_state[state]]
    for job_id in dict.fromkeys(ids):
        if len(redriven) < body.limit and _redrive(store, queue, job_id, body):
            redriven.append(job_id)
    return {"redriven": redriven}


@ROUTER.route("GET", f"{_QUEUE}/concurrency")
def get_global_concurrency(queue: QueueState) -> dict[str, t.Any]:
    return {"concurrency": queue.global_concurrency}


@ROUTER.route("PUT", f"{_QUEUE}/concurrency")
def set_global_concurrency(queue: QueueState, body: bodies.ConcurrencyBody) -> None:
    queue.global_concurrency = body.concurrency


@ROUTER.route("DELETE", f"{_QUEUE}/concurrency")
def remove_global_concurrency(queue: QueueState) -> None:
    queue.global_concurrency = None


@ROUTER.route("GET", f"{_QUEUE}/rate-limit")
def get_global_rate_limit(queue: QueueState) -> dict[str, t.Any]:
    rate = queue.global_rate
    return {"rateLimit": rate and rate._asdict()}


@ROUTER.route("PUT", f"{_QUEUE}/rate-limit")
def set_global_rate_limit(queue: QueueState, body: bodies.RateLimitBody) -> None:
    queue.global_rate = Rate(body.max, body.duration)


@ROUTER.route("DELETE", f"{_QUEUE}/rate-limit")
def remove_global_rate_limit(queue: QueueState) -> None:
    queue.global_rate = None


@ROUTER.route("GET", f"{_QUEUE}/rate-limited")
def get_rate_limit_ttl(request: SimulatedRequest, queue: QueueState) -> dict[str, t.Any]:
    limit = request.number("maxJobs", 0, high=MAX_STARTS) or (queue.global_rate.max if queue.global_rate else 0)
    return {"ttl": queue.starts.rest_left(limit, request.now)}


@ROUTER.route("PUT", f"{_QUEUE}/rate-limited")
def rate_limit(request: SimulatedRequest, queue: QueueState, body: bodies.RestBody) -> None:
    queue.starts.rest(body.duration, request.now)


@ROUTER.route("DELETE", f"{_QUEUE}/rate-limited")
def remove_rate_limit_key(request: SimulatedRequest, queue: QueueState) -> dict[str, t.Any]:
    return {"removed": queue.starts.forget(request.now)}


@ROUTER.route("GET", f"{_QUEUE}/deduplication/*")
def get_deduplication_job_id(request: SimulatedRequest, store: Store, queue: QueueState) -> dict[str, t.Any]:
    id = request.names[1]
    job_id = store.deduplicators[queue.name].holder(id, store.now)
    if job_id is None:
        raise not_deduplicated(queue.name, id)
    return {"jobId": job_id}


@ROUTER.route("DELETE", f"{_QUEUE}/deduplication/*")
def remove_deduplication_key(request: SimulatedRequest, store: Store, queue: QueueState) -> dict[str, t.Any]:
    return {"removed": store.deduplicators[queue.name].forget(request.names[1], store.now)}


@ROUTER.route("GET", f"{_QUEUE}/schedulers")
def get_schedulers(request: SimulatedRequest) -> dict[str, t.Any]:
    found = [*request.simulation.schedulers.of(request.names[0]).values()]
    found.sort(key=lambda one: (one.next, one.id), reverse=not request.flag("asc", default=True))
    return {
        "schedulers": [scheduler_view(request.simulation.schedulers, one) for one in found[request.page()]],
        "count": len(found),
    }


@ROUTER.route("GET", f"{_QUEUE}/schedulers/*")
def get_scheduler(request: SimulatedRequest) -> dict[str, t.Any]:
    queue, id = request.names
    found = request.simulation.schedulers.of(queue).get(id)
    if found is None:
        raise no_such_scheduler(queue, id)
    return scheduler_view(request.simulation.schedulers, found)


@ROUTER.route("PUT", f"{_QUEUE}/schedulers/*")
def upsert_scheduler(request: SimulatedRequest, body: bodies.SchedulerBody) -> dict[str, t.Any]:
    from ....rules.schedules import check_scheduler_id  # it imports pydantic

    queue, id = request.names
    check_scheduler_id(id)
    if body.repeat.pattern is not None:
        with contextlib.suppress(ModuleNotFoundError):  # without the server there may be no croniter
            problem = first_problem({"repeat": (body.repeat.pattern, body.repeat.tz)}, request.now)
            if problem is not None:
                raise invalid(*problem)
    new = SimulatedScheduler(queue, id, body.repeat.given(), body.template_of(id))
    try:
        made = request.simulation.schedulers.upsert(new)
    except InvalidSchedule as exc:
        raise Refusal(422, "invalid_request", f"repeat.{exc}") from None
    job = request.simulation.schedulers.pending(made)
    shown = job and {"id": job.id, "delay": max(0, made.next - request.now)}
    return {"scheduler": scheduler_view(request.simulation.schedulers, made), "job": shown}


@ROUTER.route("POST", f"{_QUEUE}/schedulers/*/run", status=201)
def run_scheduler(request: SimulatedRequest, store: Store) -> dict[str, t.Any]:
    queue, id = request.names
    found = request.simulation.schedulers.of(queue).get(id)
    if found is None:
        raise no_such_scheduler(queue, id)
    template = found.template
    data: t.Any = {} if template.data is None else template.data
    opts = {**request.trace, **template.opts}
    [added] = add_all(store, [NewSimulatedJob(queue, template.name, data, opts, request.now)])
    return {"job": {"id": added.id}}


@ROUTER.route("DELETE", f"{_QUEUE}/schedulers/*")
def remove_scheduler(request: SimulatedRequest) -> dict[str, t.Any]:
    return {"removed": request.simulation.schedulers.remove(*request.names)}


def _redrive(store: Store, queue: QueueState, job_id: str, wanted: bodies.RedriveBody) -> bool:
    from ....rules.dead_letters import read_dead_letter, redriven_options  # it imports pydantic

    job = queue.jobs.get(job_id)
    if job is None or job.state in ("active", "waiting-children") or job.repeat_job_key:
        return False
    dead_letter = read_dead_letter(job.data)
    if dead_letter is None or dead_letter["queue"] == queue.name or not wanted.selects(dead_letter):
        return False
    if wanted.has_data:
        dead_letter["data"] = wanted.data
    target, first_id, letter = store.queue(dead_letter["queue"]), dead_letter["id"], Key(queue.name, job_id)
    failed = target.jobs.get(first_id)
    if failed is not None and letter in failed.letters:
        # If it is not failed any more, the failure has been dealt with.
        if failed.letters[-1] == letter and failed.state == "failed":
            failed.name, failed.data = dead_letter["name"], dead_letter["data"]
            failed.attempts_made = failed.attempts_started = 0
            run_again(store, failed, "failed")
            target.push_in_turn(failed, is_next=bool(dead_letter["opts"].get("lifo")))
        else:
            store.remove(job)
        return True
    new_id = target.new_id()
    keeps_id = is_custom_id(first_id) and first_id not in target.jobs
    opts = redriven_options(dead_letter)
    new = NewSimulatedJob(target.name, dead_letter["name"], dead_letter["data"], opts, store.now)
    store.put(new, first_id if keeps_id else new_id)
    store.remove(job)
    return True
