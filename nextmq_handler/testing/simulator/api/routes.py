"""The routes that are simulated. Registrations change nothing: the test gave the simulation its workers."""

from __future__ import annotations

import typing as t

from . import cleaning, flows, jobs, queues
from .routing import ROUTER, SimulatedRequest

__all__ = ["ROUTER", "cleaning", "flows", "jobs", "queues"]  # importing a module registers its routes


@ROUTER.route("PUT", "queues/*/worker")
def register_worker(request: SimulatedRequest) -> dict[str, t.Any]:
    return {**request.content, "lastSeen": request.now}


@ROUTER.route("DELETE", "queues/*/worker")
def unregister_worker() -> None:
    pass
