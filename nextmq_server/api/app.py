"""The REST API, assembled."""

from __future__ import annotations

import typing as t

from fastapi import FastAPI

from nextmq_handler._package import __version__

from ..engine.events.hub import MAX_LISTENERS
from ..front import bounds
from ..front.open_calls import OpenCalls
from ..service import Service
from . import (
    children,
    description,
    events,
    flows,
    health,
    job_changes,
    jobs,
    limits,
    project,
    queue_changes,
    queues,
    results,
    schedulers,
    triggers,
    workers,
)
from .http import errors
from .http.middleware import KnownHosts, RawPath, RequestId
from .operation import overview, server, why

_ROUTES = (
    project.routes,
    overview.routes,
    why.routes,
    server.routes,
    workers.routes,
    jobs.routes,
    jobs.bulk_routes,
    job_changes.routes,
    results.routes,
    children.routes,
    flows.routes,
    queues.routes,
    queue_changes.routes,
    queue_changes.project_routes,
    limits.routes,
    events.routes,
    schedulers.routes,
    triggers.routes,
    description.routes,
    health.routes,
)


def create_app(*services: Service, hosts: t.Collection[str] | None = None, has_docs_page: bool = False) -> FastAPI:
    """Return the API of running services, one for each project. `app.state.services` may be replaced later.

    With `hosts`, it only answers requests to these hosts. With `has_docs_page`, /docs shows the routes to anyone.
    """
    app = FastAPI(title="NextMQ server", version=__version__, openapi_url=None)
    app.state.services = services
    app.state.waits = OpenCalls("waits", most=bounds.MAX_WAITS, in_all=bounds.MAX_ALL_WAITS)
    app.state.probes = OpenCalls("probes", most=bounds.MAX_PROBES, in_all=bounds.MAX_ALL_PROBES)
    app.state.streams = OpenCalls("streams", most=MAX_LISTENERS, in_all=bounds.MAX_ALL_STREAMS)
    errors.install(app)
    for routes in _ROUTES:
        app.include_router(routes)
    if has_docs_page:
        app.include_router(description.page)
    app.add_middleware(RawPath)
    if hosts is not None:
        app.add_middleware(KnownHosts, hosts=hosts)
    app.add_middleware(RequestId)
    return app
