"""The routes that are simulated. Registrations change nothing: the test gave the simulation its workers."""

from __future__ import annotations

import typing as t

from . import cleaning, flows, jobs, queues
from .routing import Router, SimulatedRequest

ROUTER: Router = Router()
for _router in (jobs.router, queues.router, cleaning.router, flows.router):
    ROUTER.include(_router)


@ROUTER.route("PUT", "queues/*/worker")
def register_worker(request: SimulatedRequest) -> dict[str, t.Any]:
    return {**request.body, "lastSeen": request.now}


@ROUTER.route("DELETE", "queues/*/worker")
def unregister_worker(_request: SimulatedRequest) -> None:
    pass
