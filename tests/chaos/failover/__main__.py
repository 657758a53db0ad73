"""Failovers: `python -m tests.chaos.failover --rounds 5` prints what each event did; exits 1 if a job was lost."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from .parts import KINDS
from .run import run_failovers

parser = argparse.ArgumentParser(prog="python -m tests.chaos.failover", description="Take primaries away.")
parser.add_argument("--rounds", type=int, default=5, help="how often each event happens (5)")
parser.add_argument("--kind", choices=KINDS, action="append", help="only this event; may be given again")
parser.add_argument("--folder", type=Path, help="where to keep data and logs (a temporary one)")
arguments = parser.parse_args()

with tempfile.TemporaryDirectory() as temporary:
    report = run_failovers(arguments.folder or Path(temporary), (arguments.kind or KINDS) * arguments.rounds)
sys.exit(not report.is_right)
