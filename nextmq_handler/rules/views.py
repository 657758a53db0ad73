"""Jobs and schedulers as the REST API shows them: the server and LocalNextMQ answer with the same members."""

from __future__ import annotations

import typing as t


def job_view(
    *,
    id: str,
    name: str,
    state: str,
    data: t.Any,
    opts: dict[str, t.Any],
    timestamp: int,
    delay: int = 0,
    priority: int = 0,
    parent: dict[str, t.Any] | None = None,
    deduplication_id: str | None = None,
    repeat_job_key: str | None = None,
    progress: t.Any = 0,
    attempts_made: int = 0,
    attempts_started: int = 0,
    stalled_counter: int = 0,
    return_value: t.Any = None,
    failed_reason: str | None = None,
    stacktrace: t.Sequence[str] = (),
    deliveries: t.Sequence[t.Any] = (),
    processed_on: int | None = None,
    finished_on: int | None = None,
) -> dict[str, t.Any]:
    """Return a job as it is now. The defaults are those of a job that has not run yet; times are ms."""
    return {
        "id": id,
        "name": name,
        "state": state,
        "data": data,
        "opts": opts,
        "progress": progress,
        "attemptsMade": attempts_made,
        "attemptsStarted": attempts_started,
        "stalledCounter": stalled_counter,
        "delay": delay,
        "priority": priority,
        "returnValue": return_value,
        "failedReason": failed_reason,
        "stacktrace": list(stacktrace),
        "deliveries": list(deliveries),
        "parent": parent,
        "repeatJobKey": repeat_job_key,
        "deduplicationId": deduplication_id,
        "timestamp": timestamp,
        "processedOn": processed_on,
        "finishedOn": finished_on,
    }


def new_job_view(
    id: str, state: str, timestamp: int, *, name: str, data: t.Any, opts: dict[str, t.Any]
) -> dict[str, t.Any]:
    """Return a job that was just added with these options, in BullMQ's spelling."""
    deduplication: dict[str, t.Any] = opts.get("deduplication") or {}
    return job_view(
        id=id,
        name=name,
        state=state,
        data=data,
        opts=opts,
        timestamp=timestamp,
        delay=opts.get("delay") or 0,
        priority=opts.get("priority") or 0,
        parent=opts.get("parent"),
        deduplication_id=deduplication.get("id"),
    )


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


def scheduler_view(
    *,
    id: str,
    name: str,
    repeat: t.Mapping[str, t.Any],
    next: int | None,
    iteration_count: int,
    data: t.Any,
    opts: dict[str, t.Any],
) -> dict[str, t.Any]:
    """Return a job scheduler. `repeat` has BullMQ's names, `next` is ms since the epoch."""
    times = ("every", "pattern", "tz", "limit", "offset", "startDate", "endDate")
    return {
        "id": id,
        "name": name,
        **{time: repeat.get(time) for time in times},
        "next": next,
        "iterationCount": iteration_count,
        "template": {"data": data, "opts": opts},
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
