"""Fixtures of the whole suite: no secret of the tests is ever logged; the conformance count at the end."""

from __future__ import annotations

import typing as t

import pytest

from nextmq_handler.testing.vectors import VECTORS
from tests.support.handler import API_KEY, OTHER_SECRET, SECRET

SECRETS = {API_KEY, SECRET, OTHER_SECRET}.union(*(vector.secrets for vector in VECTORS))


@pytest.fixture(autouse=True)
def no_secret_is_logged(caplog: pytest.LogCaptureFixture) -> t.Iterator[None]:
    """Fail a test that leaves one of the tests' secrets in the log, tracebacks included."""
    yield
    shown = caplog.text
    assert not [secret for secret in SECRETS if secret.removeprefix("whsec_") in shown]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Report how many cases of the conformance suite passed in how many integrations."""
    pairs = {
        tuple(value)
        for report in terminalreporter.getreports("passed")
        for name, value in report.user_properties
        if name == "conformance"
    }
    if pairs:
        cases, integrations = (len(set(column)) for column in zip(*pairs, strict=True))
        left = cases * integrations - len(pairs)
        terminalreporter.write_line(
            f"conformance: {cases} cases × {integrations} integrations = {len(pairs)} passed; "
            f"the other {left} cannot be sent there, limits.py says why"
        )
