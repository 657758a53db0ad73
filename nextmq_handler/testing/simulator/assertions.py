"""Look at jobs, and say what should be there: a failure shows what is."""

from __future__ import annotations

import json
import typing as t

from ...rules.states import STATES
from .engine.job import Key, LocalJob, recorded

if t.TYPE_CHECKING:
    from .engine.simulation import Simulation

_UNSAID: t.Any = object()


class Assertions:
    """The jobs that were added, and assertions about them."""

    _simulation: Simulation
    _seen: set[Key]

    def jobs(
        self, queue: str | None = None, name: str | None = None, *, state: str | None = None
    ) -> list[LocalJob]:
        """The jobs, in the order of their adding: of one queue, called `name`, in `state`, where these are given.

        Those that were removed since are among them, as they were then. Raises ValueError for a state that no job
        can have.
        """
        if state is not None and state not in STATES:
            raise ValueError(f"{state!r} is no state of a job: there are {', '.join(STATES)}")
        with self._simulation.lock:
            found = [
                job
                for job in self._simulation.store.added
                if queue in (None, job.key.queue) and name in (None, job.name) and state in (None, job.state)
            ]
            self._seen.update(job.key for job in found)
            return [recorded(job) for job in found]

    def job(self, queue: str | None = None, name: str | None = None, *, state: str | None = None) -> LocalJob:
        """The only such job. Raises AssertionError, which lists the jobs, where there is none or are several."""
        found = self.jobs(queue, name, state=state)
        if len(found) == 1:
            return found[0]
        wanted = _described(queue, name, state)
        raise AssertionError(f"expected one job {wanted}, found {len(found)}\n{self._listed(queue)}")

    def assert_enqueued(
        self, queue: str, name: str, data: t.Any = _UNSAID, *, times: int | None = None, **opts: t.Any
    ) -> None:
        """A job called `name` was added to `queue`: with this `data`, and these of BullMQ's options, where given.

        `times` says how many such jobs there must be. Raises AssertionError, which shows how the nearest job
        differs.
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
        """No job, or none called `name`, was added to `queue`. Raises AssertionError, which lists the jobs."""
        __tracebackhide__ = True
        found = self.jobs(queue, name)
        if found:
            raise AssertionError(
                f"expected no job {_described(queue, name, None)}, found {len(found)}\n{self._listed(queue)}"
            )

    def _forgotten(self) -> list[LocalJob]:
        """The jobs that the app added, that might run, never did, and were not looked at."""
        with self._simulation.lock:
            return [
                recorded(job)
                for job in self._simulation.store.added
                if job.state in ("waiting", "prioritized")
                and not (job.scheduler_id or job.attempts_started or job.is_removed or job.key in self._seen)
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


def _wanted(data: t.Any, opts: dict[str, t.Any]) -> dict[str, t.Any]:
    from ...rules.options import job_options

    wanted: dict[str, t.Any] = {} if data is _UNSAID else {"data": json.loads(_json(data))}
    if opts:
        wanted["opts"] = job_options(opts)
        if isinstance(wanted["opts"].get("backoff"), int):
            wanted["opts"]["backoff"] = {"type": "fixed", "delay": wanted["opts"]["backoff"]}
    return wanted


def _members(job: LocalJob, wanted: dict[str, t.Any]) -> dict[str, t.Any]:
    """What the job has of what is wanted."""
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
