"""Every error answer has one shape: {"error": code, "message", "details"}."""

from __future__ import annotations

import logging
import typing as t
from urllib.parse import unquote

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from nextmq_handler.protocol import strict_json
from nextmq_handler.rules import refusals
from nextmq_handler.rules.cron import InvalidSchedule
from nextmq_handler.rules.refusals import Refusal
from nextmq_handler.rules.search.filters import FilterError

from ...alerts.rules import MAX_RULES
from ...alerts.store import TooManyRules
from ...audit.log import AuditUnavailable
from ...dispatch.egress.rules import EgressRefused
from ...engine.events.hub import MAX_LISTENERS, TooManyListeners
from ...engine.queues.adding import IdempotencyKeyReused
from ...engine.queues.bulk.operations import MAX_RUNNING, NoSuchOperation, TooManyOperations
from ...engine.queues.jobs import JobLocked, NoSuchJob, WrongState
from ...engine.queues.schedulers import NoSuchScheduler
from ...engine.queues.search.cursors import BadCursor
from ...front.open_calls import TooManyOpenCalls
from ...redis.connection import ConnectionLost, RedisError
from ...shares import MAX_WAITING_SEARCHES, TooManySearches
from ...triggers.records import MAX_TRIGGERS, NoSuchTrigger, TooManyTriggers
from ...workers.registry import TooManyWorkers, WorkerConflict

logger = logging.getLogger("nextmq_server.api")


class ErrorBody(BaseModel):
    """What every error answer is: a stable code, a message for people, and details that depend on the code."""

    error: str
    message: str
    details: dict[str, t.Any]


_DESCRIPTIONS = {
    400: "`invalid_json`",
    401: "`unauthorized`",
    403: "`wrong_project`, `forbidden`",
    404: "`not_found`",
    408: "`body_timeout`",
    409: "`stale_delivery`, `wrong_state`, `job_locked`, `worker_conflict`, `parent_cannot_be_replaced`",
    413: "`payload_too_large`",
    422: "`invalid_request`, `invalid_queue_name`, `invalid_filter`, `idempotency_key_reused`, `secret_mismatch`, "
    "`too_many_triggers`, `too_many_workers`, `too_many_rules`, `schemas_too_large`",
    429: "`too_many_streams`, `too_many_waits`, `too_many_probes`, `too_many_searches`, `too_many_operations`",
    503: "`storage_unavailable`, `storage_error`, `storage_full`, `audit_unavailable`",
    507: "`project_full`",
}

DOCUMENTED: dict[int | str, dict[str, t.Any]] = {
    status: {"model": ErrorBody, "description": text} for status, text in _DESCRIPTIONS.items()
}
"""The error answers of a route, for the OpenAPI document."""

_HTTP_CODES = {404: "no_such_route", 405: "method_not_allowed"}
_HEADERS = {
    "unauthorized": {"www-authenticate": "Bearer"},
    "audit_unavailable": {"retry-after": "1"},
    "too_many_streams": {"retry-after": "5"},
    "too_many_waits": {"retry-after": "1"},
    "too_many_probes": {"retry-after": "1"},
    "too_many_searches": {"retry-after": "2"},
    "too_many_operations": {"retry-after": "10"},
    "storage_full": {"retry-after": "5"},
    "storage_unavailable": {"retry-after": "1"},
}


class ASCIIResponse(JSONResponse):
    """JSON in ASCII. Jobs may hold lone surrogates, which UTF-8 cannot encode."""

    def render(self, content: t.Any) -> bytes:
        """Return `content` as compact JSON."""
        return strict_json.compact(content).encode("ascii")


def install(app: FastAPI) -> None:
    """Make every error of `app` take the one shape."""
    app.exception_handler(HTTPException)(_on_http_exception)
    app.exception_handler(Exception)(_on_bug)
    for kind, refuse in _REFUSALS.items():
        app.exception_handler(kind)(_handler(refuse))


def code_of(request: Request, exc: Exception) -> str:
    """Return the code with which the API answers a call that raised `exc`."""
    if isinstance(exc.__cause__, Refusal):  # FastAPI wraps what reading the body raises
        return exc.__cause__.code
    kind = next((kind for kind in type(exc).__mro__ if kind in _REFUSALS), None)
    return "internal_error" if kind is None else _REFUSALS[kind](request, exc).code


def _handler(
    refuse: t.Callable[[Request, t.Any], Refusal],
) -> t.Callable[[Request, t.Any], t.Coroutine[t.Any, t.Any, JSONResponse]]:
    async def answer(request: Request, exc: Exception) -> JSONResponse:
        return _answer(refuse(request, exc))

    return answer


def _wrong_state(request: Request, exc: WrongState) -> Refusal:
    if "id" not in request.path_params:
        return Refusal(409, "wrong_state", f"queue {request.path_params['queue']} {exc}")
    code = "job_locked" if isinstance(exc, JobLocked) else "wrong_state"
    return refusals.wrong_state(*_names(request), exc, code=code)


def _names(request: Request) -> tuple[str, str]:
    """Return the queue and the id in the path."""
    return unquote(request.path_params["queue"]), unquote(request.path_params["id"])


def _redis_error(request: Request, exc: RedisError) -> Refusal:
    if str(exc).startswith("OOM"):
        message = "Redis is at its memory limit: clean finished jobs, or raise the limit"
        return Refusal(503, "storage_full", message)
    logger.error("%s %s: Redis answered %s", request.method, request.url.path, exc)
    return Refusal(503, "storage_error", "Redis refused the command; the server's log has the reason")


_REFUSALS: dict[type[Exception], t.Callable[[Request, t.Any], Refusal]] = {
    Refusal: lambda _, exc: exc,
    RequestValidationError: lambda _, exc: refusals.invalid_values(exc.errors(), skip=1),
    NoSuchJob: lambda request, _: refusals.no_such_job(*_names(request)),
    WrongState: _wrong_state,
    NoSuchScheduler: lambda request, _: refusals.no_such_scheduler(*_names(request)),
    NoSuchTrigger: lambda request, _: Refusal(
        404, "not_found", f"trigger {unquote(request.path_params['id'])} does not exist"
    ),
    IdempotencyKeyReused: lambda _, __: refusals.idempotency_key_reused(),
    InvalidSchedule: lambda _, exc: Refusal(422, "invalid_request", f"repeat.{exc}"),
    FilterError: lambda _, exc: refusals.invalid_filter(exc, position=exc.position, part=exc.part),
    BadCursor: lambda _, __: refusals.invalid(
        "cursor", "is not one of this server: send the `cursor` of the answer before, with the same query"
    ),
    EgressRefused: lambda _, exc: refusals.invalid("url", str(exc)),
    TooManyTriggers: lambda _, __: Refusal(
        422,
        "too_many_triggers",
        f"a project has at most {MAX_TRIGGERS} triggers, of 32 MiB in all: delete some",
    ),
    WorkerConflict: lambda request, exc: Refusal(
        409,
        "worker_conflict",
        f"another registration holds queue {request.path_params['queue']}: {'; '.join(exc.differences)}",
        fields=exc.fields,
        differences=exc.differences,
    ),
    TooManyRules: lambda _, __: Refusal(
        422, "too_many_rules", f"a project has at most {MAX_RULES} alert rules: delete some"
    ),
    TooManyWorkers: lambda _, exc: Refusal(422, "too_many_workers", str(exc)),
    TooManyListeners: lambda _, __: Refusal(
        429, "too_many_streams", f"the project has {MAX_LISTENERS} open event streams: close one, or share one"
    ),
    NoSuchOperation: lambda request, _: Refusal(
        404, "not_found", f"bulk operation {unquote(request.path_params['id'])} does not exist (any more)"
    ),
    TooManyOperations: lambda _, __: Refusal(
        429,
        "too_many_operations",
        f"the project has {MAX_RUNNING} bulk operations under way: wait for one, or cancel one",
    ),
    TooManySearches: lambda _, __: Refusal(
        429, "too_many_searches", f"the project has {MAX_WAITING_SEARCHES} searches under way: wait for one"
    ),
    TooManyOpenCalls: lambda _, exc: Refusal(429, f"too_many_{exc.kind}", str(exc)),
    AuditUnavailable: lambda _, exc: Refusal(
        503,
        "audit_unavailable",
        f"nothing was done, because the audit log cannot be written: Redis answered {exc}",
    ),
    ConnectionLost: lambda _, __: Refusal(
        503, "storage_unavailable", "Redis is not reachable; whether the request took effect is unknown"
    ),
    RedisError: _redis_error,
}


async def _on_http_exception(request: Request, exc: HTTPException) -> JSONResponse:
    if isinstance(exc.__cause__, Refusal):  # FastAPI wraps what reading the body raises
        return _answer(exc.__cause__)
    code, message = _HTTP_CODES.get(exc.status_code, "http_error"), str(exc.detail)
    if exc.status_code in _HTTP_CODES:
        message = f"{request.method} {request.url.path[:200]} does not exist: GET /openapi.json lists the routes"
    return _answer(Refusal(exc.status_code, code, message), exc.headers)  # a 405's name the methods allowed


async def _on_bug(_request: Request, _exc: Exception) -> JSONResponse:
    return _answer(Refusal(500, "internal_error", "the server failed; its log has the reason"))


def _answer(refusal: Refusal, headers: t.Mapping[str, str] | None = None) -> JSONResponse:
    return ASCIIResponse(refusal.body, status_code=refusal.status, headers=headers or _HEADERS.get(refusal.code))
