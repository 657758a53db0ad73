"""Tools for the tests of an app: jobs that record, processors run without a server, deliveries, LocalNextMQ.

Every name is loaded when it is first used, so that a test pays only for what it runs.
"""

from __future__ import annotations

import typing as _t

if _t.TYPE_CHECKING:
    from .delivering import Answer, adeliver, deliver
    from .jobs import RecordedAsyncJob, RecordedJob, make_async_job, make_job
    from .outcomes import JobError, JobOutcome
    from .probe import conformance_worker
    from .running import arun, run
    from .simulator.api.routing import NotSimulatedError
    from .simulator.assertions import UndrainedJobsWarning, UnrunJobsWarning
    from .simulator.engine.clock import VirtualClock
    from .simulator.engine.job import LocalJob
    from .simulator.engine.simulation import NeverFinishedError, NotIdleError
    from .simulator.local import AsyncLocalNextMQ, LocalNextMQ

_MODULES = {
    ".delivering": ("Answer", "adeliver", "deliver"),
    ".jobs": ("RecordedAsyncJob", "RecordedJob", "make_async_job", "make_job"),
    ".simulator.engine.clock": ("VirtualClock",),
    ".simulator.assertions": ("UndrainedJobsWarning", "UnrunJobsWarning"),
    ".simulator.engine.simulation": ("NeverFinishedError", "NotIdleError"),
    ".simulator.engine.job": ("LocalJob",),
    ".simulator.local": ("AsyncLocalNextMQ", "LocalNextMQ"),
    ".simulator.api.routing": ("NotSimulatedError",),
    ".outcomes": ("JobError", "JobOutcome"),
    ".probe": ("conformance_worker",),
    ".running": ("arun", "run"),
}

__all__ = [
    "Answer",
    "AsyncLocalNextMQ",
    "JobError",
    "JobOutcome",
    "LocalJob",
    "LocalNextMQ",
    "NeverFinishedError",
    "NotIdleError",
    "NotSimulatedError",
    "RecordedAsyncJob",
    "RecordedJob",
    "UndrainedJobsWarning",
    "UnrunJobsWarning",
    "VirtualClock",
    "adeliver",
    "arun",
    "conformance_worker",
    "deliver",
    "make_async_job",
    "make_job",
    "run",
]

# Behind TYPE_CHECKING, so that a checker still reports a name that does not exist.
if not _t.TYPE_CHECKING:
    _HOME = {name: module for module, names in _MODULES.items() for name in names}

    def __getattr__(name):
        if name not in _HOME:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        value = getattr(import_module(_HOME[name], __name__), name)
        globals()[name] = value
        return value

    def __dir__():
        return sorted(__all__)
