"""The ledger: compares what was accepted, what is stored and what was executed."""

from __future__ import annotations

import collections
import typing as t

from .history import WORK, PlannedJob
from .journal import Entry
from .producer import Accepted
from .storage import StoredJob

_TERMINAL = ("completed", "failed")


class Ledger:
    """Judges a run. `violations` describes broken invariants; the other attributes are counts.

    `lost` jobs were `accepted` and are nowhere. `doubled` effects came after the first of the same attempt: what
    "at least once" allows. `dead_letters` are the dead letters of queue "work".
    """

    def __init__(
        self,
        accepted: t.Iterable[Accepted],
        stored: t.Sequence[StoredJob],
        dead_letters: t.Sequence[StoredJob],
        entries: t.Iterable[Entry],
    ) -> None:
        self.violations: list[str] = []
        self.lost = 0
        self.executions = 0
        self._jobs = {(job.queue, job.id): job for job in stored}
        self._starts: collections.Counter[int] = collections.Counter()
        self._effects: collections.Counter[tuple[int, int]] = collections.Counter()
        self._count(entries)
        told: dict[tuple[str, str], PlannedJob] = {}
        for one in accepted:
            self._check_addition(one)
            told |= {(job.queue, id): job for job, id in zip(one.addition.jobs, one.ids, strict=True)}
        for place, planned in told.items():
            self._check_job(planned, place)
        self.accepted = len(told)
        for queue, id in self._jobs.keys() - told.keys():
            self._say(f"queue {queue} job {id}: is there, and no producer was told of it")
        self._check_dead_letters(dead_letters)
        self.states = collections.Counter(_state(job) for job in stored)
        self.doubled = sum(count - 1 for count in self._effects.values())

    def _count(self, entries: t.Iterable[Entry]) -> None:
        for entry in entries:
            if entry.event == "started":
                self._starts[entry.number] += 1
            if entry.event == "effect":
                self._effects[entry.number, entry.attempt] += 1
        self.executions = self._starts.total()

    def _say(self, violation: str) -> None:
        self.violations.append(violation)

    def _check_addition(self, one: Accepted) -> None:
        addition, ids, repeated = one
        if ids != repeated:
            self._say(f"{addition.key}: repeated with its idempotency key it gave {repeated}, not {ids}")
        if not addition.is_flow:
            return
        parent, *children = (self._jobs.get((job.queue, id)) for job, id in zip(addition.jobs, ids, strict=True))
        if parent is None or parent.places != ("completed",):
            return
        if parent.open_children:
            self._say(f"{addition.key}: its parent completed with {parent.open_children} open children")
        for planned, child in zip(addition.jobs[1:], children, strict=True):
            if child is not None and child.places == ("failed",) and planned.opts.get("fail_parent_on_failure"):
                self._say(f"{addition.key}: its parent completed, though child {child.id} failed it")

    def _check_job(self, planned: PlannedJob, place: tuple[str, str]) -> None:
        who = f"queue {place[0]} job {place[1]} (number {planned.number})"
        job = self._jobs.get(place)
        if job is None:
            self.lost += 1
            self._say(f"{who}: was accepted and is nowhere")
            return
        if len(job.places) != 1:
            self._say(f"{who}: is in {' and '.join(job.places)}")
        elif job.places[0] not in _TERMINAL:
            self._say(f"{who}: did not end, it is {job.places[0]}")
        if not isinstance(job.data, dict) or job.data["number"] != planned.number:
            self._say(f"{who}: holds {job.data!r}")
        attempts = planned.opts.get("attempts", 1)
        if job.attempts_made > attempts:
            self._say(f"{who}: used {job.attempts_made} attempts of {attempts}")
        if job.places == ("completed",):
            self._check_completed(who, planned, job)

    def _check_completed(self, who: str, planned: PlannedJob, job: StoredJob) -> None:
        if job.return_value != planned.number:
            self._say(f"{who}: completed with {job.return_value!r}, the result of another")
        if not self._starts[planned.number]:
            self._say(f"{who}: completed, and was never executed")
        if not self._effects[planned.number, job.attempts_made]:
            self._say(f"{who}: completed on attempt {job.attempts_made}, which had no effect")

    def _check_dead_letters(self, dead_letters: t.Sequence[StoredJob]) -> None:
        written = collections.Counter(dead_letter.data["id"] for dead_letter in dead_letters)
        failed = {job.id for job in self._jobs.values() if job.queue == WORK and job.places == ("failed",)}
        for id in written.keys() | failed:
            if written[id] != (id in failed):
                self._say(f"queue {WORK} job {id}: has {written[id]} dead letters, failed is {id in failed}")


def _state(job: StoredJob) -> str:
    return job.places[0] if job.places[0] in _TERMINAL else "pending"
