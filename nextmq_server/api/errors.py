"""The one shape of an error answer: {"error": code, "message", "details"}."""

from __future__ import annotations

import json
import logging
import typing as t

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from nextmq_handler.rules.problems import invalid_request, problem, problems_of

from ..engine.events.hub import MAX_LISTENERS, TooManyListeners
from ..redis.connection import ConnectionLost, RedisError

logger = logging.getLogger("nextmq_server.api")


class ErrorBody(BaseModel):
    """What every error answer is: a stable code, a message for people, and details that depend on the code."""

    error: str
    message: str
    details: dict[str, t.Any]


_DESCRIPTIONS = {
    400: "`invalid_json`",
    401: "`unauthorized`",
    404: "`not_found`",
    409: "`stale_delivery`, `wrong_state`, `job_locked`, `worker_conflict`, `parent_cannot_be_replaced`",
    413: "`payload_too_large`",
    422: "`invalid_request`, `invalid_queue_name`, `idempotency_key_reused`, `secret_mismatch`, "
    "`too_many_triggers`",
    429: "`too_many_streams`",
    503: "`storage_unavailable`, `storage_error`, `storage_full`",
}

DOCUMENTED: dict[int | str, dict[str, t.Any]] = {
    status: {"model": ErrorBody, "description": text} for status, text in _DESCRIPTIONS.items()
}
"""The error answers of a route, for the OpenAPI document."""

_CODES = {404: "no_such_route", 405: "method_not_allowed"}
_HEADERS = {
    "unauthorized": {"www-authenticate": "Bearer"},
    "too_many_streams": {"retry-after": "5"},
    "storage_full": {"retry-after": "5"},
}


class ASCIIResponse(JSONResponse):
    """JSON in ASCII: it can hold lone surrogates, which UTF-8 cannot, and jobs may."""

    def render(self, content: t.Any) -> bytes:
        return json.dumps(content, separators=(",", ":"), allow_nan=False).encode("ascii")


def invalid_member(path: str, text: str) -> APIError:
    """422: the member at `path` of the request's body cannot be."""
    return APIError(422, "invalid_request", f"{path}: {text}", problems=[problem(path, text)])


def no_such_job(queue: str, job_id: str) -> APIError:
    """404: the queue has no such job."""
    return APIError(404, "not_found", f"queue {queue} has no job {job_id}")


class APIError(HTTPException):
    """An answer that is an error: its status, its stable code, a message for people."""

    def __init__(self, status: int, code: str, message: str, **details: t.Any) -> None:
        super().__init__(status, message)
        self.code = code
        self.message = message
        self.details = details


def install(app: FastAPI) -> None:
    """Make every error of `app` take that shape."""
    app.exception_handler(APIError)(_on_api_error)
    app.exception_handler(HTTPException)(_on_http_exception)
    app.exception_handler(RequestValidationError)(_on_invalid)
    app.exception_handler(ConnectionLost)(_on_connection_lost)
    app.exception_handler(RedisError)(_on_redis_error)
    app.exception_handler(TooManyListeners)(_on_too_many_listeners)
    app.exception_handler(Exception)(_on_bug)


async def _on_api_error(request: Request, exc: APIError) -> JSONResponse:
    headers = _HEADERS.get(exc.code)
    return _answer(exc.status_code, exc.code, exc.message, exc.details, headers)


async def _on_http_exception(request: Request, exc: HTTPException) -> JSONResponse:
    code, message = _CODES.get(exc.status_code, "http_error"), str(exc.detail)
    if exc.status_code in _CODES:
        message = f"there is no {request.method} {request.url.path[:200]}: /docs has the routes"
    return _answer(exc.status_code, code, message, {}, exc.headers)  # a 405's name the methods allowed


async def _on_invalid(request: Request, exc: RequestValidationError) -> JSONResponse:
    return ASCIIResponse(invalid_request(problems_of(exc.errors(), skip=1)), status_code=422)


async def _on_connection_lost(request: Request, exc: ConnectionLost) -> JSONResponse:
    message = "Redis is not reachable at the moment; whether the request took effect is not known"
    return _answer(503, "storage_unavailable", message, {}, {"retry-after": "1"})


async def _on_redis_error(request: Request, exc: RedisError) -> JSONResponse:
    if str(exc).startswith("OOM"):
        message = "Redis is at its memory limit: clean finished jobs, or raise the limit"
        return _answer(503, "storage_full", message, {}, _HEADERS["storage_full"])
    logger.error("%s %s: Redis answered %s", request.method, request.url.path, exc)
    return _answer(503, "storage_error", "Redis refused the command; the server's log tells why", {})


async def _on_too_many_listeners(request: Request, exc: TooManyListeners) -> JSONResponse:
    message = f"the project has {MAX_LISTENERS} open event streams: close one, or share one"
    return _answer(429, "too_many_streams", message, {}, _HEADERS["too_many_streams"])


async def _on_bug(request: Request, exc: Exception) -> JSONResponse:
    return _answer(500, "internal_error", "the server failed; its log tells why", {})


def _answer(
    status: int, code: str, message: str, details: dict[str, t.Any], headers: t.Mapping[str, str] | None = None
) -> JSONResponse:
    content = {"error": code, "message": message, "details": details}
    return ASCIIResponse(content, status_code=status, headers=headers)
