"""The REST API, assembled."""

from __future__ import annotations

from fastapi import FastAPI

from nextmq_handler._package import __version__

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
    project,
    queues,
    results,
    schedulers,
    triggers,
    workers,
)
from .middleware import RawPath, RequestId

_ROUTES = (
    project.routes,
    workers.routes,
    jobs.routes,
    jobs.bulk_routes,
    job_changes.routes,
    results.routes,
    children.routes,
    flows.routes,
    queues.routes,
    limits.routes,
    events.routes,
    schedulers.routes,
    triggers.routes,
    health.routes,
)


def create_app(*services: Service) -> FastAPI:
    """Return the API of running services, one for each project. `app.state.services` may be replaced later."""
    app = FastAPI(title="NextMQ server", version=__version__)
    app.state.services = services
    errors.install(app)
    for routes in _ROUTES:
        app.include_router(routes)
    app.add_middleware(RawPath)
    app.add_middleware(RequestId)
    return app
