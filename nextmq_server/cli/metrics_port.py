"""The port of --metrics-port: the metrics of all projects, for callers on this machine."""

from __future__ import annotations

import asyncio
import contextlib
import typing as t

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..api.metrics import TEXT
from ..metrics.metrics import ProcessMetrics
from ..service import Service
from ..serving import HTTPServer, base_url, listen

HOST = "127.0.0.1"
"""Only this machine: the metrics name every project and queue, and nobody sends a key."""


@contextlib.asynccontextmanager
async def serve_metrics(
    metrics: ProcessMetrics, services: t.Sequence[Service], port: int
) -> t.AsyncGenerator[str]:
    """Serve the metrics of all `services`, which may grow; yield the URL.

    Raises ConfigurationError if the port is taken.
    """

    async def answer(_request: Request) -> Response:
        return Response(await metrics.of_all(services), media_type=TEXT)

    with listen(HOST, port, command="nextmq serve") as listener:
        server = HTTPServer(Starlette(routes=[Route("/metrics", answer)]), shutdown_timeout=1)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield f"{base_url(HOST, listener)}/metrics"
        finally:
            server.should_exit = True
            await serving
