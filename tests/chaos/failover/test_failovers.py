"""Primaries that hang, vanish, die and hand over while producers go on: what was confirmed is there once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.failover.parts import KINDS
from tests.chaos.failover.run import run_failovers


@pytest.mark.timeout(600)
def test_what_was_confirmed_is_there_once_after_a_primary_hung_and_another_vanished(tmp_path: Path) -> None:
    report = run_failovers(tmp_path, ["hang", "vanish"])
    assert report.is_right, str(report)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_what_was_confirmed_is_there_once_after_every_event_and_five_times_over(tmp_path: Path) -> None:
    report = run_failovers(tmp_path, [*KINDS] * 5)
    assert report.is_right, str(report)
