"""pytest fixtures for queues in process. They import nothing before a test asks for one of them."""

from __future__ import annotations

import typing as t

import pytest

from .._deprecated import deprecated

if t.TYPE_CHECKING:
    from ..workers.worker import Worker
    from .simulator.local import AsyncLocalNextMQ, LocalNextMQ

_WORKERS = "nextmq_workers"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option `nextmq_workers`."""
    parser.addini(_WORKERS, "the app's workers: module:name of a handler, a worker or a list of them", type="args")


def pytest_configure(config: pytest.Config) -> None:
    """Add the marker `nextmq`."""
    config.addinivalue_line("markers", "nextmq(workers): the workers that the fixtures have in this test")


@pytest.fixture
def nextmq_workers(request: pytest.FixtureRequest) -> t.Sequence[Worker]:
    """Return the app's workers: those of the marker `nextmq`, or of the option `nextmq_workers`.

    A suite may override this fixture. Raises ConfigurationError for a name that cannot be loaded.
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
def local_nextmq(nextmq_workers: t.Sequence[Worker]) -> t.Generator[LocalNextMQ]:
    """Run the app's queues in process, in virtual time, for every Queue and AsyncQueue of the test."""
    from .simulator.local import LocalNextMQ

    with LocalNextMQ(workers=nextmq_workers) as mq:
        yield mq


@pytest.fixture
def async_local_nextmq(nextmq_workers: t.Sequence[Worker]) -> t.Generator[AsyncLocalNextMQ]:
    """Run them for a test with an event loop, whichever plugin runs it."""
    from .simulator.local import AsyncLocalNextMQ

    mq = AsyncLocalNextMQ(workers=nextmq_workers)
    mq.start()
    try:
        yield mq
    finally:
        mq.stop()


@pytest.fixture
@deprecated("the fixture nextmq is now local_nextmq")
def nextmq(local_nextmq: LocalNextMQ) -> LocalNextMQ:
    """Return `local_nextmq`, whose old name this is."""
    return local_nextmq


@pytest.fixture
@deprecated("the fixture async_nextmq is now async_local_nextmq")
def async_nextmq(async_local_nextmq: AsyncLocalNextMQ) -> AsyncLocalNextMQ:
    """Return `async_local_nextmq`, whose old name this is."""
    return async_local_nextmq
