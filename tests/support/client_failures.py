"""Calls, and the ways in which one of their attempts may end."""

from __future__ import annotations

import typing as t

import httpx
import respx

from nextmq_handler import NextMQError
from tests.support.client import Kind, flows_of, job_of, queue_of, triggers_of, value_of
from tests.support.handler import ADDED, JOB

Failure = httpx.Response | type[Exception]


def answer(status: int, code: str = "http_error", **headers: str) -> httpx.Response:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(status, json={"error": code}, headers=names)


NOT_SENT: dict[str, Failure] = {
    "ConnectError": httpx.ConnectError,
    "ConnectTimeout": httpx.ConnectTimeout,
    "PoolTimeout": httpx.PoolTimeout,
    "429": answer(429),
    "503 storage_full": answer(503, "storage_full"),
}
MAYBE_SENT: dict[str, Failure] = {
    "ReadTimeout": httpx.ReadTimeout,
    "WriteTimeout": httpx.WriteTimeout,
    "ReadError": httpx.ReadError,
    "WriteError": httpx.WriteError,
    "CloseError": httpx.CloseError,
    "ProxyError": httpx.ProxyError,
    "RemoteProtocolError": httpx.RemoteProtocolError,
    "502": answer(502),
    "503": answer(503),
    "503 storage_unavailable": answer(503, "storage_unavailable"),
    "504": answer(504),
}
FINAL: dict[str, Failure] = {
    "LocalProtocolError": httpx.LocalProtocolError,
    "UnsupportedProtocol": httpx.UnsupportedProtocol,
    "DecodingError": httpx.DecodingError,
    "OSError": OSError,
    "302": answer(302),
    "400": answer(400),
    "401": answer(401),
    "404": answer(404),
    "409": answer(409),
    "413": answer(413),
    "422": answer(422),
    "500": answer(500),
}

REPEATABLE: dict[str, tuple[t.Callable[[Kind], t.Any], str, tuple[t.Any, ...]]] = {
    "GET": (queue_of, "get_job_counts", ()),
    "PUT": (queue_of, "set_global_concurrency", (1,)),
    "DELETE": (queue_of, "remove_rate_limit_key", ()),
    "add": (queue_of, "add", ("welcome",)),
    "add_bulk": (queue_of, "add_bulk", ([{"name": "welcome"}],)),
    "flow add": (flows_of, "add", ({"name": "a", "queue_name": "emails"},)),
    "flow add_bulk": (flows_of, "add_bulk", ([{"name": "a", "queue_name": "emails"}],)),
    "pause": (queue_of, "pause", ()),
    "resume": (queue_of, "resume", ()),
    "drain": (queue_of, "drain", ()),
    "clean": (queue_of, "clean", (0, 10)),
    "obliterate": (queue_of, "obliterate", ()),
    "promote_jobs": (queue_of, "promote_jobs", ()),
    "trim_events": (queue_of, "trim_events", (1,)),
    "trigger pause": (triggers_of, "pause", ("1",)),
    "trigger resume": (triggers_of, "resume", ("1",)),
}
NOT_REPEATABLE: dict[str, tuple[t.Callable[[Kind], t.Any], str, tuple[t.Any, ...]]] = {
    "add_job_log": (queue_of, "add_job_log", ("42", "row")),
    "retry_jobs": (queue_of, "retry_jobs", ()),
    "redrive": (queue_of, "redrive", ()),
    "job log": (job_of, "log", ("row",)),
    "job retry": (job_of, "retry", ()),
    "job promote": (job_of, "promote", ()),
    "trigger fire": (triggers_of, "fire", ("1",)),
    "trigger rotate_secret": (triggers_of, "rotate_secret", ("1",)),
}
TREE = {"job": {**JOB, "queueName": "emails"}, "children": []}
TRIGGER = {
    **dict.fromkeys(("name", "payload", "repeat", "backoff", "timeout", "next", "lastRun")),
    "id": "1",
    "url": "u",
    "attempts": 1,
    "isPaused": False,
    "secret": "whsec_x",
}
OK = {
    **JOB,
    **TRIGGER,
    "removed": [],
    "jobs": [{**JOB, **ADDED}],
    "flow": TREE,
    "flows": [],
    "count": 1,
    "redriven": [],
}


def scripted(server: respx.MockRouter, *failures: Failure, ok: dict[str, t.Any] | None = None) -> respx.Route:
    """Script a server: it fails in these ways, one after another, and then answers."""
    route = server.route(url__startswith="https://queue.example/")
    route.side_effect = [*failures, *[httpx.Response(200, json=OK if ok is None else ok)] * 3]
    return route


async def attempt(
    call: tuple[t.Callable[[Kind], t.Any], str, tuple[t.Any, ...]], kind: Kind
) -> NextMQError | None:
    make, method, args = call
    try:
        await value_of(getattr(make(kind), method)(*args))
    except NextMQError as exc:
        return exc
    return None


def ok_for(method: str) -> dict[str, t.Any]:
    return {**OK, "removed": 0} if method == "trim_events" else {**OK, "removed": True if "key" in method else []}
