"""What holds for every test of the suite: no secret of the tests is ever logged."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest

from tests.handler.support import API_KEY, OTHER_SECRET, SECRET

VECTORS: dict[str, t.Any] = json.loads((Path(__file__).parent / "vectors" / "signatures.json").read_text())
SECRETS = {API_KEY, SECRET, OTHER_SECRET}.union(*(vector["secrets"] for vector in VECTORS["vectors"]))


@pytest.fixture(autouse=True)
def no_secret_is_logged(caplog: pytest.LogCaptureFixture) -> t.Iterator[None]:
    """Fails a test after which one of the tests' secrets stands in the log, tracebacks included."""
    yield
    shown = caplog.text
    assert not [secret for secret in SECRETS if secret.removeprefix("whsec_") in shown]
