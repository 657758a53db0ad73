"""GET /metrics: the project's metrics for Prometheus."""

from __future__ import annotations

from fastapi import Request
from starlette.responses import Response

from ..metrics.metrics import ProcessMetrics
from .http.request import Authorized, router

routes = router("", "server")

TEXT = "text/plain; version=0.0.4; charset=utf-8"


@routes.get(
    "/metrics", response_class=Response, responses={200: {"content": {TEXT: {"schema": {"type": "string"}}}}}
)
async def metrics(service: Authorized, request: Request) -> Response:
    """Return the metrics of this process and of the project, in Prometheus's text format.

    An answer may be 5 s old.
    """
    collected: ProcessMetrics = request.app.state.metrics
    return Response(await collected.of_project(service), media_type=TEXT)
