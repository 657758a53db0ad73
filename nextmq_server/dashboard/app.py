"""The dashboard, assembled: a Starlette app that a server or an own app mounts."""

from __future__ import annotations

import logging
import typing as t

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from ..redis.connection import ConnectionLost, RedisConnection, RedisError
from ..service import Service
from ..shares import SearchTurns, TooManySearches
from . import live
from .pages import audit, endpoints, failures, job, login, queue, queues, schedules, search, server
from .render import STATIC
from .security import OwnPagesOnly
from .sessions import Sessions
from .users import Users
from .visits import message

logger = logging.getLogger("nextmq_server.dashboard")

_SMALLEST_ZIPPED, _ZIP_LEVEL = 1000, 5

PAGES = (
    Route("/", login.start),
    Route("/login", login.form, methods=["GET"]),
    Route("/login", login.log_in, methods=["POST"]),
    Route("/logout", login.log_out, methods=["POST"]),
    Route("/{project}/", queues.page),
    Route("/{project}/live", live.stream),
    Route("/{project}/endpoints", endpoints.page),
    Route("/{project}/failures", failures.page),
    Route("/{project}/search", search.page),
    Route("/{project}/schedules", schedules.page),
    Route("/{project}/audit", audit.page),
    Route("/{project}/server", server.page),
    Route("/{project}/queues/{queue}", queue.page),
    Route("/{project}/queues/{queue}/jobs/{id}", job.page),
)
"""Every route but the static files. Each endpoint says which role it needs."""


def create_dashboard(
    services: t.Sequence[Service],
    connection: RedisConnection,
    *,
    public_url: str | None = None,
    is_open: bool = False,
    is_demo: bool = False,
    searches: SearchTurns | None = None,
) -> Starlette:
    """Return the dashboard of running services, one for each project; the list may grow.

    `connection` is to the Redis that keeps the users. `public_url` is where people open it, `is_open` tells that
    other machines reach the server: then it needs a `public_url`. With `is_demo` each page says so. `searches` are
    the turns of an API in the same process.
    """
    app = Starlette(
        routes=[Mount("/static", _Immutable(directory=STATIC)), *PAGES],
        middleware=[
            Middleware(OwnPagesOnly, public_url=public_url, is_open=is_open),
            Middleware(GZipMiddleware, minimum_size=_SMALLEST_ZIPPED, compresslevel=_ZIP_LEVEL),
        ],
        exception_handlers={
            ConnectionLost: _on_redis,
            RedisError: _on_redis,
            TimeoutError: _on_redis,
            TooManySearches: _on_searches,
            HTTPException: _on_http,
            Exception: _on_bug,
        },
    )
    app.state.services = services
    app.state.is_demo = is_demo
    app.state.searches = searches or SearchTurns()
    app.state.watchers = live.Watchers()
    app.state.sessions = Sessions(Users(connection), public_url=public_url)
    return app


class _Immutable(StaticFiles):
    def file_response(self, *args: t.Any, **kwargs: t.Any) -> Response:
        answer = super().file_response(*args, **kwargs)
        answer.headers["cache-control"] = "public, max-age=31536000, immutable"
        return answer

    def get_path(self, scope: Scope) -> str:
        return super().get_path(scope).removeprefix("static/")


async def _on_redis(request: Request, exc: Exception) -> Response:
    logger.warning("%s %s: Redis: %s", request.method, request.url.path, str(exc) or type(exc).__name__)
    sentence = "Redis does not answer. Jobs that it holds are safe; this page comes back by itself, or reload it."
    return message(request, 503, "Redis does not answer", sentence)


async def _on_searches(request: Request, exc: Exception) -> Response:  # noqa: ARG001 - Starlette passes it
    return message(request, 429, "Too many searches", "Other searches of this project are under way: try again.")


async def _on_http(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, HTTPException)
    if exc.status_code == 405:
        return PlainTextResponse("method not allowed\n", 405, exc.headers)
    return message(request, exc.status_code, "Not found", "There is no such page.")


async def _on_bug(request: Request, exc: Exception) -> Response:
    logger.error("%s %s failed", request.method, request.url.path, exc_info=exc)
    return message(request, 500, "The server failed", "Its log has the reason.")
