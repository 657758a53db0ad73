"""The REST API, assembled."""

from __future__ import annotations

from fastapi import FastAPI

from nextmq_handler._version import __version__

from ..service import Service
from . import errors, jobs, queues, workers


def create_app(service: Service) -> FastAPI:
    """The API of a running service."""
    app = FastAPI(title="NextMQ server", version=__version__)
    app.state.service = service
    errors.install(app)
    for router in (workers.router, jobs.router, queues.router):
        app.include_router(router)
    app.add_api_route("/healthz", healthz, tags=["server"])
    return app


async def healthz() -> dict[str, str]:
    """The process lives."""
    return {"status": "ok"}
