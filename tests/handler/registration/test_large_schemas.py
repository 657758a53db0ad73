"""Schemas that are too large for the server are left out, and the log says so once."""

from __future__ import annotations

import logging

import pytest

from nextmq_handler.registration import body
from nextmq_handler.rules.limits import MAX_SCHEMAS
from nextmq_handler.settings import load_settings
from nextmq_handler.workers.worker import Worker
from tests.support.handler import URL


def test_a_worker_with_too_large_schemas_registers_without_them(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(body, "schemas_of", lambda _: {"a": "x" * MAX_SCHEMAS})
    settings = load_settings(url=URL, app_url="https://app.example", environ={})
    with caplog.at_level(logging.WARNING):
        bodies = [body.registration_of(Worker("large-schemas"), settings) for _ in range(2)]
    assert [each["schemas"] for each in bodies] == [None, None]
    assert [record.levelname for record in caplog.records] == ["WARNING"]
