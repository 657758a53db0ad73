"""The REST API, assembled."""

from __future__ import annotations

from fastapi import FastAPI

from nextmq_handler._version import __version__

from ..service import Service
from . import (
    children,
    errors,
    events,
    flows,
    health,
    job_changes,
    jobs,
    limits,
    logs,
    project,
    queues,
    redrive,
    results,
    schedulers,
    triggers,
    workers,
)
from .middleware import RawPath, RequestId

_ROUTERS = (
    project.router,
    workers.router,
    workers.all_workers,
    jobs.router,
    jobs.bulk,
    job_changes.router,
    logs.router,
    results.router,
    children.router,
    flows.adding,
    flows.router,
    queues.router,
    limits.router,
    events.router,
    redrive.router,
    schedulers.router,
    triggers.router,
    health.router,
)


def create_app(*services: Service) -> FastAPI:
    """The API of running services, one for each project. Others may take their place: `app.state.services`."""
    app = FastAPI(title="NextMQ server", version=__version__)
    app.state.services = services
    errors.install(app)
    for router in _ROUTERS:
        app.include_router(router)
    app.add_middleware(RawPath)
    app.add_middleware(RequestId)
    return app
