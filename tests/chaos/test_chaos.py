"""Histories of jobs and faults over real processes: no accepted job is lost, and each ends once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.run import run


@pytest.mark.timeout(600)
def test_every_accepted_job_ends_once_whatever_is_killed_and_cut(tmp_path: Path) -> None:
    report = run(tmp_path, seed=2, jobs=300, kills=6)
    assert report.is_right, str(report)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_every_accepted_job_of_10000_ends_once_over_100_kills(tmp_path: Path) -> None:
    report = run(tmp_path, seed=7, jobs=10_000, kills=100)
    assert report.is_right, str(report)
