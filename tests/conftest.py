"""What holds for the whole suite: no secret of the tests is ever logged; the conformance count at the end."""

from __future__ import annotations

import functools
import os
import threading
import typing as t

import pytest
from httpx._transports import default as transports

from nextmq_handler.testing.vectors import VECTORS
from tests.support.handler import API_KEY, OTHER_SECRET, SECRET

SECRETS = {API_KEY, SECRET, OTHER_SECRET}.union(*(vector.secrets for vector in VECTORS))


@pytest.fixture(scope="session", autouse=True)
def _trusted_certificates_are_read_once() -> t.Iterator[None]:
    """Share the TLS settings of httpx clients: each test has its own, and to read the certificates takes 20 ms."""
    made = functools.cache(lambda arguments, options, trusted: create(*arguments, **dict(options)))
    create = t.cast("t.Any", transports).create_ssl_context

    def shared(*arguments: t.Any, **options: t.Any) -> t.Any:
        trusted = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
        return made(arguments, tuple(options.items()), trusted)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transports, "create_ssl_context", shared)
        yield


@pytest.fixture(autouse=True)
def no_secret_is_logged(caplog: pytest.LogCaptureFixture) -> t.Iterator[None]:
    """Fails a test after which one of the tests' secrets stands in the log, tracebacks included."""
    yield
    shown = caplog.text
    assert not [secret for secret in SECRETS if secret.removeprefix("whsec_") in shown]


@pytest.fixture(autouse=True)
def no_registration_outlives_its_test() -> t.Iterator[None]:
    """Stop the registrations that a test has left behind: they would call the mocked server of a later test."""
    yield
    left = [thread for thread in threading.enumerate() if thread.name == "nextmq-registrar"]
    for thread in left:
        thread._args[0].set()  # type: ignore[attr-defined]  # what tells it to stop
    for thread in left:
        thread.join(5)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Count the cases of the conformance suite that passed, and the integrations."""
    pairs = {
        tuple(value)
        for report in terminalreporter.getreports("passed")
        for name, value in report.user_properties
        if name == "conformance"
    }
    if pairs:
        cases, integrations = len({case for case, _ in pairs}), len({integration for _, integration in pairs})
        left = cases * integrations - len(pairs)
        terminalreporter.write_line(
            f"conformance: {cases} cases × {integrations} integrations = {len(pairs)} passed; "
            f"the other {left} cannot be sent there, limits.py says why"
        )
