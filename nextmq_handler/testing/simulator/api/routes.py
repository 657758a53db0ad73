"""All routes that are simulated."""

from __future__ import annotations

from . import cleaning as routes_cleaning
from . import flows as routes_flows
from . import jobs as routes_jobs
from . import queues as routes_queues
from .routing import Router

ROUTER = Router()
for module in (routes_jobs, routes_queues, routes_cleaning, routes_flows):
    ROUTER.include(module.router)
