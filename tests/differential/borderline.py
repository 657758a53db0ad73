"""Calls with values at and beyond their bounds, of every route that LocalNextMQ simulates, as a table."""

from __future__ import annotations

import typing as t

from nextmq_handler import FlowProducer, Queue

Scene = Queue[t.Any, t.Any]
"""A queue with a waiting job "w", a delayed one "d", and a parent "p" that waits for the child "c"."""
Borderline = t.Callable[[Scene], object]

NUMBERS: tuple[t.Any, ...] = (
    0,
    -1,
    1,
    1000,
    1001,
    2**31,
    2**31 + 1,
    2**53,
    10**15,
    10**17,
    1.5,
    True,
    "",
    "x",
    "1",
    None,
)
TEXTS: tuple[t.Any, ...] = (
    "",
    "x",
    " ",
    "a:b",
    "wait",
    "é☃",
    "a/b",
    "%2F",
    "x" * 256,
    "x" * 257,
    "x" * 1024,
    "x" * 1025,
)
RANGES: tuple[tuple[t.Any, t.Any], ...] = (
    *(
        (0, -1),
        (0, 0),
        (-1, 0),
        (-1, -1),
        (5, 4),
        (0, 999),
        (0, 1000),
        (1000, 1999),
        (2**31, 2**31),
        (2**31 + 1, 2**31 + 1),
    ),
    *((0.0, 1), (0, 1.5), ("0", "1"), ("", ""), (True, True), (10**17, 10**17)),
)
STATES: tuple[t.Any, ...] = (
    *("", "waiting", "paused", "wait", "nope", "Waiting", "waiting,failed", "waiting,", "unknown", "active"),
    *([], ["waiting", "nope"], ["waiting", "waiting"]),
)


def prepare(queue: Scene) -> None:
    """Fill a queue."""
    queue.add("a", {"n": 1}, job_id="w")
    queue.add("a", {"n": 2}, job_id="d", delay=10**9)
    child: t.Any = {"name": "a", "queue_name": f"{queue.name}-c", "opts": {"job_id": "c"}}
    flow: t.Any = {"name": "a", "queue_name": queue.name, "opts": {"job_id": "p"}, "children": [child]}
    FlowProducer(url=queue._remote._url).add(flow)


def _many(name: str, call: t.Callable[..., object], values: t.Iterable[t.Any]) -> dict[str, Borderline]:
    def case(value: t.Any) -> Borderline:
        arguments = value if isinstance(value, tuple) else (value,)
        return lambda queue: call(queue, *arguments)

    return {
        f"{name} {str(value)[:30]!r} {type(value).__name__} {len(str(value))}": case(value) for value in values
    }


def _job(queue: t.Any, id: str = "w") -> t.Any:
    return queue.get_job(id)


def _flow(queue: t.Any, **opts: t.Any) -> object:
    return FlowProducer(url=queue._remote._url).get_flow(queue_name=queue.name, id="p", **opts)


def _add(option: str) -> t.Callable[..., object]:
    return lambda queue, value: queue.add("a", None, **{option: value})


def _bulk(option: str) -> t.Callable[..., object]:
    return lambda queue, value: queue.add_bulk([{"name": "a", "opts": {option: value}}])


def _scheduler(queue: t.Any, id: str = "s", **repeat: t.Any) -> object:
    return queue.upsert_job_scheduler(id, repeat)


_RANGED = ("get_jobs", "get_waiting", "get_completed", "get_delayed", "get_failed", "get_prioritized")
_NUMBERED = (
    "attempts",
    "delay",
    "priority",
    "backoff",
    "keep_logs",
    "size_limit",
    "stack_trace_limit",
    "timestamp",
)
_KEPT = ("remove_on_complete", "remove_on_fail", "lifo")

CALLS: dict[str, Borderline] = {
    **_many("get_jobs in states", lambda queue, states: queue.get_jobs(states), STATES),
    **_many("get_jobs from", lambda queue, start, end: queue.get_jobs(None, start, end), RANGES),
    **{
        name: case
        for getter in _RANGED[1:]
        for name, case in _many(
            getter, lambda queue, start, end, g=getter: getattr(queue, g)(start, end), RANGES[:8]
        ).items()
    },
    **_many("get_job_schedulers", lambda queue, start, end: queue.get_job_schedulers(start, end), RANGES),
    **_many("get_job_logs", lambda queue, start, end: queue.get_job_logs("w", start, end), RANGES),
    **_many("get_job", lambda queue, id: queue.get_job(id), TEXTS),
    **_many("get_job_state", lambda queue, id: queue.get_job_state(id), TEXTS),
    **_many("remove", lambda queue, id: queue.remove(id), TEXTS),
    **_many("get_deduplication_job_id", lambda queue, id: queue.get_deduplication_job_id(id), TEXTS),
    **_many("get_job_scheduler", lambda queue, id: queue.get_job_scheduler(id), TEXTS),
    **_many("remove_job_scheduler", lambda queue, id: queue.remove_job_scheduler(id), TEXTS),
    **_many("get_counts_per_priority", lambda queue, number: queue.get_counts_per_priority([number]), NUMBERS),
    **_many(
        "get_counts_per_priority of",
        lambda queue, count: queue.get_counts_per_priority(range(count)),
        (0, 1, 100, 101),
    ),
    **_many(
        "get_counts_per_priority at",
        lambda queue, number: queue.get_counts_per_priority([number]),
        (2**21 - 1, 2**21),
    ),
    **_many("get_rate_limit_ttl", lambda queue, number: queue.get_rate_limit_ttl(number), NUMBERS),
    **_many("clean limit", lambda queue, limit: queue.clean(0, limit, "delayed"), NUMBERS),
    **_many("clean grace", lambda queue, grace: queue.clean(grace, 10, "delayed"), NUMBERS),
    **_many("clean state", lambda queue, state: queue.clean(0, 10, state), STATES[:10]),
    **_many("retry_jobs", lambda queue, state: queue.retry_jobs(state), STATES[:10]),
    **_many("retry_jobs before", lambda queue, moment: queue.retry_jobs(timestamp=moment), NUMBERS),
    **_many("redrive limit", lambda queue, limit: queue.redrive(limit=limit), NUMBERS),
    **_many("redrive ids", lambda queue, id: queue.redrive([id]), TEXTS),
    **_many("redrive name", lambda queue, name: queue.redrive(name=name), TEXTS),
    **_many("redrive reason", lambda queue, reason: queue.redrive(reason=reason), TEXTS),
    **_many("set_global_concurrency", lambda queue, number: queue.set_global_concurrency(number), NUMBERS),
    **_many("set_global_rate_limit max", lambda queue, number: queue.set_global_rate_limit(number, 1000), NUMBERS),
    **_many("set_global_rate_limit duration", lambda queue, ms: queue.set_global_rate_limit(1, ms), NUMBERS),
    **_many("rate_limit", lambda queue, ms: queue.rate_limit(ms), NUMBERS),
    **_many("remove_deduplication_key", lambda queue, id: queue.remove_deduplication_key(id), TEXTS),
    **_many("add_job_log keep", lambda queue, keep: queue.add_job_log("w", "row", keep), NUMBERS),
    **_many("add_job_log row", lambda queue, size: queue.add_job_log("w", "x" * size), (0, 1, 65_536)),
    **_many("update_job_progress", lambda queue, id: queue.update_job_progress(id, 1), TEXTS),
    **_many("change_delay", lambda queue, ms: _job(queue, "d").change_delay(ms), NUMBERS),
    **_many("change_delay of", lambda queue, id: _job(queue, id).change_delay(1), ("w", "p")),
    **_many("promote", lambda queue, id: _job(queue, id).promote(), ("w", "d", "p")),
    **_many("retry", lambda queue, id: _job(queue, id).retry(), ("w", "d", "p")),
    **_many(
        "retry from", lambda queue, state: _job(queue).retry(state), ("completed", "failed", "waiting", "", "x")
    ),
    **_many(
        "change_priority", lambda queue, number: _job(queue).change_priority(number), (*NUMBERS, 2**21 - 1, 2**21)
    ),
    **_many("clear_logs", lambda queue, keep: _job(queue).clear_logs(keep), NUMBERS),
    **_many("get_dependencies", lambda queue, limit: _job(queue, "p").get_dependencies(limit=limit), NUMBERS),
    **_many("get_flow depth", lambda queue, depth: _flow(queue, depth=depth), (*NUMBERS, 20, 21)),
    **_many("get_flow children", lambda queue, count: _flow(queue, max_children=count), NUMBERS),
    **_many("add name", lambda queue, name: queue.add(name), TEXTS),
    **_many("add id", lambda queue, id: queue.add("a", job_id=id), (*TEXTS, "007", "7", "-1", "NaN", "9" * 20)),
    **{
        name: case
        for option in (*_NUMBERED, *_KEPT)
        for name, case in _many(f"add {option}", _add(option), (*NUMBERS, 2**21 - 1, 2**21)).items()
    },
    **_many("bulk priority", _bulk("priority"), (0, -1, 2**21 - 1, 2**21)),
    **_many("bulk of", lambda queue, count: queue.add_bulk([{"name": "a"}] * count), (0, 1, 1000)),
    **_many("scheduler id", lambda queue, id: _scheduler(queue, id, every=1000), TEXTS),
    **_many("scheduler every", lambda queue, ms: _scheduler(queue, every=ms), NUMBERS),
    **_many("scheduler limit", lambda queue, limit: _scheduler(queue, every=1000, limit=limit), NUMBERS),
    **_many("scheduler offset", lambda queue, ms: _scheduler(queue, every=1001, offset=ms), NUMBERS),
    **_many("scheduler end", lambda queue, moment: _scheduler(queue, every=1000, end_date=moment), NUMBERS),
    **_many("scheduler start", lambda queue, moment: _scheduler(queue, every=1000, start_date=moment), NUMBERS),
    **_many(
        "scheduler pattern",
        lambda queue, text: _scheduler(queue, pattern=text),
        (*TEXTS, "* * * * *", "* * * * * * *", "0 0 30 2 *"),
    ),
    **_many(
        "scheduler tz",
        lambda queue, tz: _scheduler(queue, pattern="* * * * *", tz=tz),
        (*TEXTS, "UTC", "Europe/Berlin"),
    ),
}
