"""Fixtures of the library's tests: an environment without settings, one event loop library, fixed examples."""

from collections.abc import Iterator

import pytest
import respx
from hypothesis import settings

from nextmq_handler import _overrides
from tests.support.client import ClientTime

settings.register_profile("handler", max_examples=100, deadline=None, derandomize=True, print_blob=True)
settings.load_profile("handler")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session", autouse=True)
def _no_settings_in_the_environment() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for variable in ("NEXTMQ_URL", "NEXTMQ_APP_URL", "NEXTMQ_WEBHOOK_SECRETS"):
            patch.delenv(variable, raising=False)
        yield


@pytest.fixture(autouse=True)
def client_time(monkeypatch: pytest.MonkeyPatch) -> ClientTime:
    """Give the client a clock that only its own pauses move: no test waits for a retry."""
    time = ClientTime()
    for name in ("monotonic", "wall_clock", "uniform", "sleep", "async_sleep", "new_key"):
        monkeypatch.setattr(_overrides, name, getattr(time, name))
    return time


@pytest.fixture
def server() -> Iterator[respx.MockRouter]:
    """Stand in for the queue server's REST API: a call that no route answers fails the test."""
    with respx.mock(base_url="https://queue.example", assert_all_called=False) as router:
        yield router
