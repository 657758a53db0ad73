"""Tell a test of the jobs that it added and forgot."""

from __future__ import annotations

import sys
import typing as t
import warnings

if t.TYPE_CHECKING:
    from .job import LocalJob

_SHOWN = 5


class UndrainedJobsWarning(UserWarning):
    """A test ended with jobs that might have run, did not, and that it never looked at."""


def tell_of(jobs: t.Sequence[LocalJob]) -> None:
    """Warn of forgotten jobs, if there are any, and unless an exception is on its way already."""
    if not jobs or sys.exc_info()[0] is not None:
        return
    shown = [f"{job.queue_name}/{job.id} {job.name!r}" for job in jobs[:_SHOWN]]
    shown += [f"{len(jobs) - _SHOWN} more"] if len(jobs) > _SHOWN else []
    were = "job was" if len(jobs) == 1 else "jobs were"
    warnings.warn(
        f"{len(jobs)} {were} never run: {', '.join(shown)}; call drain(), or look at what was added with jobs() "
        "or assert_enqueued(…)",
        UndrainedJobsWarning,
        stacklevel=4,
    )
