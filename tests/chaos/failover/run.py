"""One run: producers go on while primaries are taken away; then what they were told is compared with Redis."""

from __future__ import annotations

import collections
import itertools
import math
import threading
import time
import typing as t
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.chaos.history import WORK, Addition, PlannedJob
from tests.chaos.journal import Entry, read_journal
from tests.chaos.producer import Producer
from tests.chaos.storage import Storage, StoredJob

from .parts import PROJECT, EventKind, FailoverParts, FailoverStrike
from .report import EventResult, FailoverReport

PRODUCERS = 4

ADD_PAUSE = 0.02
"""How long (s) a producer rests after each job."""

BEFORE = 1000
"""How long (ms) before an event a job may have been confirmed that the event can still lose."""

SETTLE_TIME = 60.0
"""How long (s) it may take after the last event until all jobs have ended."""


class Confirmed(t.NamedTuple):
    """A job that a producer was told of, and when (ms since the epoch)."""

    number: int
    id: str
    at: int


def run_failovers(
    folder: Path, kinds: t.Sequence[EventKind], echo: t.Callable[[str], object] = print
) -> FailoverReport:
    """Run these events in `folder` and call `echo` with the progress. Call this in the main thread."""
    parts = FailoverParts(folder)
    strikes: list[FailoverStrike] = []
    with parts.running():
        producers = _Producers(parts.urls)
        with ThreadPoolExecutor(PRODUCERS) as pool:
            adding = [pool.submit(producers.add_on) for _ in range(PRODUCERS)]
            try:
                with parts.client() as client:
                    storage = Storage(client, PROJECT)
                    _until(lambda: storage.finished([WORK]) > 0)  # its worker has registered
                producers.wait_for_more()
                for kind in kinds:
                    strikes.append(parts.strike(kind))
                    producers.wait_for_more()
                    echo(f"{kind}: {len(producers.confirmed):,} jobs were added so far")
            finally:
                producers.is_over.set()
            for each in adding:
                each.result()
        with parts.client() as client:
            kept = Storage(client, PROJECT)
            _until(lambda: kept.finished([WORK]) >= len(_numbers(kept.jobs(WORK))))
            stored = kept.jobs(WORK)
        logs = parts.server_logs()
    report = judge(strikes, producers.confirmed, stored, read_journal(parts.journal), logs)
    echo(str(report))
    return report


class _Producers:
    """Add jobs one after the other, each until a server has confirmed it."""

    def __init__(self, urls: t.Sequence[str]) -> None:
        self.confirmed: list[Confirmed] = []
        self.is_over = threading.Event()
        self._numbers = itertools.count()
        self._producer = Producer(urls)

    def wait_for_more(self) -> None:
        """Wait until a hundred more jobs were confirmed."""
        wanted = len(self.confirmed) + 100
        _until(lambda: len(self.confirmed) > wanted)

    def add_on(self) -> None:
        """Add jobs until `is_over`."""
        while not self.is_over.wait(ADD_PAUSE):
            number = next(self._numbers)
            job = PlannedJob(number, WORK, {"attempts": 5}, ("done",), 0)
            (id,) = self._producer.make(Addition(f"failover-{number}", number, (job,))).ids
            self.confirmed.append(Confirmed(number, id, round(time.time() * 1000)))


def judge(
    strikes: t.Sequence[FailoverStrike],
    confirmed: t.Sequence[Confirmed],
    stored: t.Sequence[StoredJob],
    entries: t.Sequence[Entry],
    logs: t.Sequence[str],
) -> FailoverReport:
    """Compare what the producers were told with what is stored, for the time from each event to the next."""
    kept = _numbers(stored)
    ids = collections.Counter(one.id for one in confirmed)
    answered = sorted(entry.at for entry in entries if entry.event == "answered")
    ends = [*(strike.began_at for strike in strikes[1:]), math.inf]
    results: list[EventResult] = []
    for strike, end in zip(strikes, ends, strict=True):
        told = [one for one in confirmed if strike.began_at - BEFORE <= one.at < end - BEFORE]
        times = [at for at in answered if strike.began_at - BEFORE <= at < end]
        after = next((at for at in answered if at >= strike.promoted_at), None)
        results.append(
            EventResult(
                strike.kind,
                lost=sum(one.number not in kept for one in told),
                doubled=sum(kept[one.number] > 1 for one in told),
                given_twice=sum(ids[one.id] > 1 for one in told),
                gap=max((second - first for first, second in itertools.pairwise(times)), default=0) / 1000,
                first_after=None if after is None else (after - strike.promoted_at) / 1000,
            )
        )
    open_jobs = sum(job.places != ("completed",) for job in stored)
    tracebacks = [log[max(0, log.find("Traceback") - 400) :][:2000] for log in logs if "Traceback" in log]
    return FailoverReport(results, len(confirmed), open_jobs, tracebacks)


def _numbers(stored: t.Iterable[StoredJob]) -> collections.Counter[int]:
    return collections.Counter(job.data["number"] for job in stored)


def _until(condition: t.Callable[[], bool]) -> None:
    """Wait until it holds or the time is over: the report tells what is missing."""
    deadline = time.monotonic() + SETTLE_TIME
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
