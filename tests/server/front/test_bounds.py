"""The short form of `benchmarks.bounds`: a real server keeps its memory under the attacks that need no API key."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def test_attacks_without_a_key_cost_a_bounded_amount_of_memory() -> None:
    command = [sys.executable, "-m", "benchmarks.bounds", "--short"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
