"""Jobs and schedulers as the REST API shows them: the server and LocalNextMQ answer with the same members."""

from __future__ import annotations

import typing as t

from typing_extensions import TypedDict  # pydantic takes typing's from Python 3.12 on

from .delivery_log import DeliveryEntry

if t.TYPE_CHECKING:
    from .scheduling import Template


class ParentView(TypedDict):
    """The job that waits for this one."""

    id: str
    queue: str


class LockView(TypedDict):
    """Who processes a job: "server …" or "BullMQ worker …". Unless renewed, the lock ends in `expiresIn` ms."""

    owner: str
    expiresIn: int


class JobView(TypedDict):
    """A job as it is now. Times are ms since the epoch, null until they happened.

    `deliveries` are the last 20 that ended, `deliveriesCount` is how many began. Only an active job has a `lock`,
    and only if it was asked for alone; it is null once the lock has expired.
    """

    id: str
    name: str
    state: str
    data: t.Any
    opts: dict[str, t.Any]
    progress: t.Any
    attemptsMade: int
    attemptsStarted: int
    stalledCounter: int
    delay: int
    priority: int
    returnValue: t.Any
    failedReason: str | None
    stacktrace: list[str]
    deliveries: list[DeliveryEntry]
    deliveriesCount: int
    parent: ParentView | None
    repeatJobKey: str | None
    deduplicationId: str | None
    timestamp: int
    processedOn: int | None
    finishedOn: int | None
    lock: t.NotRequired[LockView | None]


class LastDelivery(TypedDict):
    """A queue's last delivery: when it was sent (ms since the epoch), how long it took (ms), and its outcome.

    `status` is null if no HTTP answer came.
    """

    at: int
    status: int | None
    ms: int
    outcome: str


def new_job_view(
    id: str, state: str, timestamp: int, *, name: str, data: t.Any, opts: dict[str, t.Any]
) -> JobView:
    """Return a job that was just added with these options, in BullMQ's spelling."""
    deduplication: dict[str, t.Any] = opts.get("deduplication") or {}
    return {
        "id": id,
        "name": name,
        "state": state,
        "data": data,
        "opts": opts,
        "progress": 0,
        "attemptsMade": 0,
        "attemptsStarted": 0,
        "stalledCounter": 0,
        "delay": opts.get("delay") or 0,
        "priority": opts.get("priority") or 0,
        "returnValue": None,
        "failedReason": None,
        "stacktrace": [],
        "deliveries": [],
        "deliveriesCount": 0,
        "parent": opts.get("parent"),
        "repeatJobKey": None,
        "deduplicationId": deduplication.get("id"),
        "timestamp": timestamp,
        "processedOn": None,
        "finishedOn": None,
    }


def queue_view(
    *,
    name: str,
    is_paused: bool,
    counts: dict[str, int],
    global_concurrency: int | None,
    worker_concurrency: int | None,
    rate_limit: dict[str, int] | None,
    rate_limit_ttl: int,
    hold: dict[str, t.Any] | None = None,
    worker: dict[str, t.Any] | None = None,
) -> dict[str, t.Any]:
    """Return a queue as it is now; `rate_limit_ttl` is ms."""
    return {
        "name": name,
        "isPaused": is_paused,
        "counts": counts,
        "concurrency": {"global": global_concurrency, "worker": worker_concurrency},
        "rateLimit": rate_limit,
        "rateLimitTtl": rate_limit_ttl,
        "hold": hold,
        "worker": worker,
    }


class LastRunView(TypedDict):
    """The job that a scheduler started last; its state is "unknown" once it is removed."""

    jobId: str
    state: str
    finishedOn: int | None


def scheduler_view(
    id: str,
    template: Template,
    repeat: t.Mapping[str, t.Any],
    *,
    next: int | None,
    iteration_count: int,
    last: LastRunView | None,
    overdue_by: int | None,
) -> dict[str, t.Any]:
    """Return a job scheduler. `repeat` has BullMQ's names, `next` is ms since the epoch, `overdue_by` ms."""
    times = ("every", "pattern", "tz", "limit", "offset", "startDate", "endDate")
    return {
        "id": id,
        "name": template.name,
        **{time: repeat.get(time) for time in times},
        "next": next,
        "iterationCount": iteration_count,
        "last": last,
        "overdueBy": overdue_by,
        "template": {"data": template.data, "opts": template.opts},
    }


def dependencies_view(
    *,
    processed: t.Mapping[t.Any, t.Any],
    unprocessed: t.Iterable[t.Any],
    ignored: t.Mapping[t.Any, str],
    failed: t.Iterable[t.Any],
    counts: dict[str, int],
) -> dict[str, t.Any]:
    """Return a job's children by what became of them; the children turn into `queue:id`."""
    return {
        "processed": by_name(processed),
        "unprocessed": [str(child) for child in unprocessed],
        "ignored": by_name(ignored),
        "failed": [str(child) for child in failed],
        "counts": counts,
    }


def by_name(children: t.Mapping[t.Any, t.Any]) -> dict[str, t.Any]:
    """Return what is known of children by `queue:id`."""
    return {str(child): value for child, value in children.items()}
