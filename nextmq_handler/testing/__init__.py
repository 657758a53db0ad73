"""Tools for the tests of an app: jobs that record, processors run without a server, deliveries, LocalNextMQ."""

from __future__ import annotations

import typing as _t

from .._package import public_names as _public_names

if _t.TYPE_CHECKING:
    from .delivering import Answer as Answer
    from .delivering import adeliver as adeliver
    from .delivering import deliver as deliver
    from .jobs import RecordedAsyncJob as RecordedAsyncJob
    from .jobs import RecordedJob as RecordedJob
    from .jobs import make_async_job as make_async_job
    from .jobs import make_job as make_job
    from .outcomes import JobError as JobError
    from .outcomes import JobOutcome as JobOutcome
    from .probe import conformance_worker as conformance_worker
    from .running import arun as arun
    from .running import run as run
    from .simulator.api.routing import NotSimulatedError as NotSimulatedError
    from .simulator.assertions import UndrainedJobsWarning as UndrainedJobsWarning
    from .simulator.assertions import UnrunJobsWarning as UnrunJobsWarning
    from .simulator.engine.clock import VirtualClock as VirtualClock
    from .simulator.engine.job import LocalJob as LocalJob
    from .simulator.engine.simulation import NeverFinishedError as NeverFinishedError
    from .simulator.engine.simulation import NotIdleError as NotIdleError
    from .simulator.local import AsyncLocalNextMQ as AsyncLocalNextMQ
    from .simulator.local import LocalNextMQ as LocalNextMQ

    __all__: list[str]
else:  # hidden from checkers, so that they report a name that does not exist
    __getattr__, __dir__, __all__ = _public_names(
        __name__,
        {
            ".delivering": "Answer adeliver deliver",
            ".jobs": "RecordedAsyncJob RecordedJob make_async_job make_job",
            ".outcomes": "JobError JobOutcome",
            ".probe": "conformance_worker",
            ".running": "arun run",
            ".simulator.api.routing": "NotSimulatedError",
            ".simulator.assertions": "UndrainedJobsWarning UnrunJobsWarning",
            ".simulator.engine.clock": "VirtualClock",
            ".simulator.engine.job": "LocalJob",
            ".simulator.engine.simulation": "NeverFinishedError NotIdleError",
            ".simulator.local": "AsyncLocalNextMQ LocalNextMQ",
        },
    )
