"""Count the requests to the API by project, route and status."""

from __future__ import annotations

import typing as t
from collections import Counter

from starlette.types import ASGIApp, Message, Receive, Scope, Send

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
"""The methods that are counted under their own names."""


class RequestKey(t.NamedTuple):
    """What a request is counted under. `project` is empty without a right API key, `route` without a route."""

    project: str
    method: str
    route: str
    status: str


class RequestCounts:
    """Middleware that counts in `app.state.metrics`.

    Nothing of the caller's own words is a label, so that their number is bounded.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        counts: Counter[RequestKey] = scope["app"].state.metrics.requests  # a mounted app takes its place

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                counts[_key_of(scope, message["status"])] += 1
            await send(message)

        await self._app(scope, receive, counted)


def _key_of(scope: Scope, status: int) -> RequestKey:
    service = scope.get("state", {}).get("service")
    method = scope["method"] if scope["method"] in METHODS else "other"
    route = getattr(scope.get("route"), "path_format", "")
    return RequestKey("" if service is None else service.project.name, method, route, str(status))
