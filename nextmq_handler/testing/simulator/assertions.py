"""Look at jobs, and assert which jobs exist: a failure shows what was found."""

from __future__ import annotations

import json
import sys
import typing as t
import warnings

from ...rules.states import STATES
from .engine.job import Key, LocalJob, recorded

if t.TYPE_CHECKING:
    from .engine.simulation import Simulation

_SHOWN = 5
_UNSAID: t.Any = object()


class UnrunJobsWarning(UserWarning):
    """A test ended with jobs that could run, but never ran, and that the test never looked at."""


UndrainedJobsWarning = UnrunJobsWarning
"""The old name of UnrunJobsWarning. Deprecated."""


class Assertions:
    """The jobs that were added, and assertions about them."""

    _simulation: Simulation
    _seen: set[Key]

    def jobs(
        self, queue: str | None = None, name: str | None = None, *, state: str | None = None
    ) -> list[LocalJob]:
        """Return the jobs in the order in which they were added; filter by `queue`, `name` and `state`.

        Removed jobs are included, as they were when they were removed. Raises ValueError for an unknown state.
        """
        if state is not None and state not in STATES:
            raise ValueError(f"{state!r} is not a state of a job: use {', '.join(STATES)}")
        with self._simulation.lock:
            found = [
                job
                for job in self._simulation.store.added
                if queue in (None, job.key.queue) and name in (None, job.name) and state in (None, job.state)
            ]
            self._seen.update(job.key for job in found)
            return [recorded(job) for job in found]

    def job(self, queue: str | None = None, name: str | None = None, *, state: str | None = None) -> LocalJob:
        """Return the only job that matches. Raises AssertionError, which lists the jobs, if there is not one."""
        found = self.jobs(queue, name, state=state)
        if len(found) == 1:
            return found[0]
        wanted = _described(queue, name, state)
        raise AssertionError(f"expected one job {wanted}, found {len(found)}\n{self._listed(queue)}")

    def assert_enqueued(
        self, queue: str, name: str, data: t.Any = _UNSAID, *, times: int | None = None, **opts: t.Any
    ) -> None:
        """Assert that a job `name` was added to `queue`, with this `data` and these options, if you pass them.

        With `times` there must be exactly so many such jobs. Raises AssertionError, which shows how the nearest
        job differs.
        """
        __tracebackhide__ = True
        wanted = _wanted(data, opts)
        named = self.jobs(queue, name)
        same = [job for job in named if _members(job, wanted) == wanted]
        if len(same) == times or (times is None and same):
            return
        if times is not None and same:
            heading = f"expected {times} jobs {name!r} in queue {queue!r}, found {len(same)}"
            raise AssertionError(f"{heading}\n{self._listed(queue)}")
        heading = f"no such job {name!r} was added to queue {queue!r}"
        if not named:
            raise AssertionError(f"{heading}\n{self._listed(queue)}")
        raise AssertionError(f"{heading}; the nearest one (- expected, + found):\n{_nearest_diff(wanted, named)}")

    def assert_not_enqueued(self, queue: str, name: str | None = None) -> None:
        """Assert that no job (`name`) was added to `queue`. Raises AssertionError, which lists the jobs."""
        __tracebackhide__ = True
        found = self.jobs(queue, name)
        if found:
            raise AssertionError(
                f"expected no job {_described(queue, name, None)}, found {len(found)}\n{self._listed(queue)}"
            )

    def _forgotten(self) -> list[LocalJob]:
        """Return the jobs that could run, but never ran, and that the test never looked at."""
        with self._simulation.lock:
            return [
                recorded(job)
                for job in self._simulation.store.added
                if job.state in ("waiting", "prioritized")
                and not (job.repeat_job_key or job.attempts_started or job.is_removed or job.key in self._seen)
                and self._simulation.store.queue(job.key.queue).worker is not None
            ]

    def _listed(self, queue: str | None) -> str:
        jobs = self.jobs(queue) or self.jobs()
        if not jobs:
            return "no job was added to any queue"
        return "\n".join(
            f"  {job.queue_name}/{job.id} {job.name!r} {job.state} {_json(job.data)}"
            + (f": {job.failed_reason}" if job.failed_reason else "")
            for job in jobs
        )


def warn_of_unrun(jobs: t.Sequence[LocalJob]) -> None:
    """Warn of jobs that never ran, unless an exception is on its way already."""
    if not jobs or sys.exc_info()[0] is not None:
        return
    shown = [f"{job.queue_name}/{job.id} {job.name!r}" for job in jobs[:_SHOWN]]
    shown += [f"{len(jobs) - _SHOWN} more"] if len(jobs) > _SHOWN else []
    were = "job was" if len(jobs) == 1 else "jobs were"
    warnings.warn(
        f"{len(jobs)} {were} never run: {', '.join(shown)}; call run_all(), or look at what was added with jobs() "
        "or assert_enqueued(…)",
        UnrunJobsWarning,
        stacklevel=4,
    )


def _wanted(data: t.Any, opts: dict[str, t.Any]) -> dict[str, t.Any]:
    from ...rules.options import job_options

    wanted: dict[str, t.Any] = {} if data is _UNSAID else {"data": json.loads(_json(data))}
    if opts:
        wanted["opts"] = job_options(opts)
        if isinstance(wanted["opts"].get("backoff"), int):
            wanted["opts"]["backoff"] = {"type": "fixed", "delay": wanted["opts"]["backoff"]}
    return wanted


def _members(job: LocalJob, wanted: dict[str, t.Any]) -> dict[str, t.Any]:
    """Return the wanted members that the job has."""
    found: dict[str, t.Any] = {"data": job.data} if "data" in wanted else {}
    if "opts" in wanted:
        found["opts"] = {name: job.opts[name] for name in wanted["opts"] if name in job.opts}
    return found


def _nearest_diff(wanted: dict[str, t.Any], jobs: t.Sequence[LocalJob]) -> str:
    import difflib

    expected = _json(wanted, indent=2).splitlines()
    diffs = [[*difflib.ndiff(expected, _json(_members(job, wanted), indent=2).splitlines())] for job in jobs]
    nearest = min(diffs, key=lambda diff: sum(line[0] in "+-" for line in diff))
    return "\n".join(line for line in nearest if not line.startswith("?"))


def _described(queue: str | None, name: str | None, state: str | None) -> str:
    parts = [f"called {name!r}"] if name else []
    parts += [f"in queue {queue!r}"] if queue else []
    parts += [f"in state {state!r}"] if state else []
    return " ".join(parts) or "at all"


def _json(value: t.Any, *, indent: int | None = None) -> str:
    from ...client._http.content import encode

    return json.dumps(json.loads(encode(value)), indent=indent, sort_keys=True, ensure_ascii=False)
