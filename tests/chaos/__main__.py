"""Chaos: `python -m tests.chaos --jobs 10000 --kills 100 --seed 7` prints a report, exits 1 on a violation."""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from pathlib import Path

from .run import run

parser = argparse.ArgumentParser(prog="python -m tests.chaos", description="Kill parts at random; count jobs.")
parser.add_argument("--jobs", type=int, default=10_000, help="how many to add, at least (10000)")
parser.add_argument("--kills", type=int, default=100, help="how many SIGKILLs, at least (100)")
parser.add_argument("--seed", type=int, default=random.randrange(1_000_000), help="of the history (a random one)")
parser.add_argument("--folder", type=Path, help="where to keep data and logs (a temporary one)")
arguments = parser.parse_args()

with tempfile.TemporaryDirectory() as temporary:
    folder = arguments.folder or Path(temporary)
    report = run(folder, seed=arguments.seed, jobs=arguments.jobs, kills=arguments.kills)
sys.exit(not report.is_right)
