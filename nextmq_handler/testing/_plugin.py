"""pytest's fixtures for queues in process. Nothing is imported before a test asks for one of them."""

from __future__ import annotations

import typing as t

import pytest

if t.TYPE_CHECKING:
    from ..workers.worker import Worker
    from .simulator.local import AsyncLocalNextMQ, LocalNextMQ

_WORKERS = "nextmq_workers"


def pytest_addoption(parser: pytest.Parser) -> None:
    """The option `nextmq_workers`."""
    parser.addini(_WORKERS, "the app's workers: module:name of a handler, a worker or a list of them", type="args")


def pytest_configure(config: pytest.Config) -> None:
    """The marker `nextmq`."""
    config.addinivalue_line("markers", "nextmq(workers): the workers that the fixtures have in this test")


@pytest.fixture
def nextmq_workers(request: pytest.FixtureRequest) -> t.Sequence[Worker]:
    """The app's workers: of the marker `nextmq`, else of the option `nextmq_workers`. May be overridden.

    Raises ConfigurationError for a name that cannot be loaded.
    """
    from ..workers.loading import workers_of

    marker: pytest.Mark | None = request.node.get_closest_marker("nextmq")
    if marker is not None:
        if marker.args or [*marker.kwargs] != ["workers"]:
            raise pytest.UsageError("the marker nextmq takes workers by name: @pytest.mark.nextmq(workers=[…])")
        return t.cast("t.Sequence[Worker]", marker.kwargs["workers"])
    targets: list[str] = request.config.getini(_WORKERS)
    return [worker for target in targets for worker in workers_of(target)]


@pytest.fixture
def nextmq(nextmq_workers: t.Sequence[Worker]) -> t.Generator[LocalNextMQ]:
    """The app's queues in process, in virtual time: every Queue and AsyncQueue of the test is theirs."""
    from .simulator.local import LocalNextMQ

    with LocalNextMQ(workers=nextmq_workers) as mq:
        yield mq


@pytest.fixture
def async_nextmq(nextmq_workers: t.Sequence[Worker]) -> t.Generator[AsyncLocalNextMQ]:
    """`nextmq` for tests with an event loop, whichever plugin runs it."""
    from .simulator.local import AsyncLocalNextMQ

    mq = AsyncLocalNextMQ(workers=nextmq_workers)
    mq.start()
    try:
        yield mq
    finally:
        mq.stop()
