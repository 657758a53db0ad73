"""The one shape of an error answer: {"error": code, "message", "details"}."""

from __future__ import annotations

import json
import logging
import typing as t

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from ..engine.connection import ConnectionLost, RedisError

logger = logging.getLogger("nextmq_server.api")

_CODES = {404: "no_such_route", 405: "method_not_allowed"}


class ASCIIResponse(JSONResponse):
    """JSON in ASCII: it can hold lone surrogates, which UTF-8 cannot, and jobs may."""

    def render(self, content: t.Any) -> bytes:
        return json.dumps(content, separators=(",", ":"), allow_nan=False).encode("ascii")


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
    app.exception_handler(Exception)(_on_bug)


async def _on_api_error(request: Request, exc: APIError) -> JSONResponse:
    headers = {"www-authenticate": "Bearer"} if exc.status_code == 401 else None
    return _answer(exc.status_code, exc.code, exc.message, exc.details, headers)


async def _on_http_exception(request: Request, exc: HTTPException) -> JSONResponse:
    code = _CODES.get(exc.status_code, "http_error")
    return _answer(exc.status_code, code, str(exc.detail), {}, exc.headers)  # a 405's name the methods allowed


async def _on_invalid(request: Request, exc: RequestValidationError) -> JSONResponse:
    problems = [
        {"path": ".".join(str(part) for part in error["loc"][1:]), "problem": error["msg"]}
        for error in exc.errors()
    ]
    where = f"{problems[0]['path'] or 'the body'}: {problems[0]['problem']}"
    return _answer(422, "invalid_request", where, {"problems": problems})


async def _on_connection_lost(request: Request, exc: ConnectionLost) -> JSONResponse:
    message = "Redis is not reachable at the moment; whether the request took effect is not known"
    return _answer(503, "storage_unavailable", message, {}, {"retry-after": "1"})


async def _on_redis_error(request: Request, exc: RedisError) -> JSONResponse:
    logger.error("%s %s: Redis answered %s", request.method, request.url.path, exc)
    return _answer(503, "storage_error", "Redis refused the command; the server's log tells why", {})


async def _on_bug(request: Request, exc: Exception) -> JSONResponse:
    return _answer(500, "internal_error", "the server failed; its log tells why", {})


def _answer(
    status: int, code: str, message: str, details: dict[str, t.Any], headers: t.Mapping[str, str] | None = None
) -> JSONResponse:
    content = {"error": code, "message": message, "details": details}
    return ASCIIResponse(content, status_code=status, headers=headers)
