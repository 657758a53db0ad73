"""The REST API, assembled."""

from __future__ import annotations

import typing as t

from fastapi import FastAPI
from starlette.datastructures import State

from nextmq_handler._package import __version__

from ..engine.events.hub import MAX_LISTENERS
from ..front import bounds
from ..front.open_calls import OpenCalls
from ..metrics.metrics import ProcessMetrics
from ..metrics.requests import RequestCounts
from ..service import Service
from ..shares import SearchTurns
from . import (
    children,
    description,
    events,
    flows,
    health,
    job_changes,
    jobs,
    limits,
    metrics,
    project,
    queues,
    results,
    schedulers,
    triggers,
    workers,
)
from .http import errors
from .http.middleware import KnownHosts, RawPath, RequestId
from .operation import alerts, audit, minutes, overview, queue_changes, server, why
from .search import bulk, failures, searching

ROUTERS = (
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
    minutes.routes,
    audit.routes,
    searching.routes,
    failures.routes,
    bulk.routes,
    alerts.routes,
    metrics.routes,
    description.routes,
    health.routes,
)
"""The routes of the API, by group."""


def create_app(*services: Service, hosts: t.Collection[str] | None = None, has_docs_page: bool = False) -> FastAPI:
    """Return the API of running services, one for each project. `app.state.services` may be replaced later.

    With `hosts`, it only answers requests to these hosts. With `has_docs_page`, /docs shows the routes to anyone.
    """
    app = FastAPI(title="NextMQ server", version=__version__, openapi_url=None)
    app.state = new_state(services)
    errors.install(app)
    for routes in ROUTERS:
        app.include_router(routes)
    if has_docs_page:
        app.include_router(description.page)
    app.add_middleware(RequestCounts)
    app.add_middleware(RawPath)
    if hosts is not None:
        app.add_middleware(KnownHosts, hosts=hosts)
    app.add_middleware(RequestId)
    return app


def new_state(services: t.Sequence[Service]) -> State:
    """Return what an app knows besides its routes: the services, their metrics, and the calls that are open."""
    return State(
        {
            "services": services,
            "metrics": ProcessMetrics(),
            "waits": OpenCalls("waits", most=bounds.MAX_WAITS, in_all=bounds.MAX_ALL_WAITS),
            "probes": OpenCalls("probes", most=bounds.MAX_PROBES, in_all=bounds.MAX_ALL_PROBES),
            "streams": OpenCalls("streams", most=MAX_LISTENERS, in_all=bounds.MAX_ALL_STREAMS),
            "searches": SearchTurns(),
        }
    )
