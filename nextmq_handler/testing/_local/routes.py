"""All routes that are simulated."""

from __future__ import annotations

from . import routes_cleaning, routes_flows, routes_jobs, routes_queues
from .routing import Router

ROUTER = Router()
for module in (routes_jobs, routes_queues, routes_cleaning, routes_flows):
    ROUTER.include(module.router)
