"""One run: a history happens, everything settles, the ledger judges."""

from __future__ import annotations

import time
import typing as t
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from .history import DEAD_LETTERS, QUEUES, Round, make_history
from .journal import read_journal
from .ledger import Ledger
from .parts import PROJECT, Parts, Strike
from .producer import Accepted, Producer
from .recovery import interruptions, recoveries
from .report import Report
from .storage import Storage

PRODUCERS = 4
START_TIME = 60.0
"""How long (s) the receiver may take to register its workers before the first fault."""

PROGRESS_TIME = 10.0
"""How long (s) a fault waits at most until a quarter of its round has ended, so that it hits busy parts."""

SETTLE_TIME = 180.0
"""How long (s) it may take after the last fault to add all jobs, and then to run them."""


def run(folder: Path, *, seed: int, jobs: int, kills: int, echo: t.Callable[[str], object] = print) -> Report:
    """Run the history of `seed` in `folder` and call `echo` with the progress. Call this in the main thread."""
    began_at = time.monotonic()
    history = make_history(seed, jobs=jobs, kills=kills)
    echo(f"seed {seed}: {len(history)} faults")
    parts = Parts(folder)
    with parts.running() as client:
        storage = Storage(client, PROJECT)
        _wait(storage.workers, len(QUEUES), START_TIME)
        accepted, strikes = _happen(history, parts, storage, echo)
        stored = [job for queue in QUEUES for job in storage.jobs(queue)]
        dead_letters = storage.jobs(DEAD_LETTERS)
        crashes, log = parts.crashes, list(parts.server_log())
    entries = read_journal(parts.journal)
    report = Report(
        seed,
        Ledger(accepted, stored, dead_letters, entries),
        strikes,
        crashes,
        recoveries(strikes, stored),
        interruptions(entries),
        ["\n".join(log[at : at + 40]) for at, line in enumerate(log) if "Traceback" in line],
        time.monotonic() - began_at,
    )
    echo(str(report))
    return report


def _happen(
    history: t.Sequence[Round], parts: Parts, storage: Storage, echo: t.Callable[[str], object]
) -> tuple[list[Accepted], list[Strike]]:
    strikes: list[Strike] = []
    producer = Producer(parts.urls)

    def finished() -> int:
        return storage.finished(QUEUES)

    with ThreadPoolExecutor(PRODUCERS) as pool:
        additions = []
        try:
            for number, (fresh, wait, fault) in enumerate(history, 1):
                additions += [pool.submit(producer.make, addition) for addition in fresh]
                _wait(finished, finished() + len(fresh) // 4, PROGRESS_TIME)
                time.sleep(wait)  # the moment of the fault, not a wait for something
                strikes.append(parts.strike(fault))
                echo(f"{number:>4}  {fault}; {finished():,} jobs have ended")
        finally:
            producer.deadline = time.monotonic() + SETTLE_TIME
        accepted = [addition.result() for addition in additions]
    _wait(finished, sum(len(one.ids) for one in accepted), SETTLE_TIME)
    return accepted, strikes


def _wait(count: t.Callable[[], int], wanted: int, seconds: float) -> None:
    """Wait until that many have ended or the time is over: the ledger tells what is missing."""
    deadline = time.monotonic() + seconds
    while count() < wanted and time.monotonic() < deadline:
        time.sleep(0.05)
