"""Fixtures of the testing kit's tests: an environment without settings, one event loop library."""

import pytest


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def _no_settings_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("NEXTMQ_URL", "NEXTMQ_APP_URL", "NEXTMQ_WEBHOOK_SECRETS"):
        monkeypatch.delenv(variable, raising=False)
