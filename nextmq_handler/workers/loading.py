"""The workers of an app, as a handler, a registration and a test take them."""

from __future__ import annotations

import typing as t

from ..errors import ConfigurationError
from .worker import Worker


def listed(workers: t.Iterable[Worker]) -> tuple[Worker, ...]:
    """`workers`, which take no more processors from here on.

    Raises ConfigurationError where it is not several workers, or one of them cannot work.
    """
    given = t.cast("object", workers)
    if isinstance(given, str) or not isinstance(given, t.Iterable):
        raise ConfigurationError(f"workers takes Worker objects in a list, workers=[…], not {_kind(workers)}")
    found = tuple(workers)
    for worker in found:
        if not isinstance(worker, Worker):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigurationError(f"workers takes Worker objects, not {_kind(worker)}")
        worker.freeze()
    return found


def by_queue(workers: t.Iterable[Worker]) -> dict[str, Worker]:
    """The same by their queues. Raises ConfigurationError also where a queue has two, or where there is none."""
    found: dict[str, Worker] = {}
    for worker in listed(workers):
        if worker.name in found:
            raise ConfigurationError(
                f"workers has two for queue {worker.name!r}: make one, with a processor for each job name"
            )
        found[worker.name] = worker
    if not found:
        raise ConfigurationError("workers is empty: pass the Worker objects that this app runs, workers=[…]")
    return found


def _kind(value: object) -> str:
    return f"one Worker({value.name!r})" if isinstance(value, Worker) else type(value).__name__
