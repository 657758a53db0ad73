"""What the adapters' tests share."""

from __future__ import annotations

import pytest

from nextmq_handler.registration.registrar import Registrar


@pytest.fixture(autouse=True)
def _registers_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no app of these tests look for its queue server, which does not exist."""
    monkeypatch.setattr(Registrar, "start", lambda registrar: None)
