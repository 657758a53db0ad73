"""mypy and pyright see what processors.py says that they see."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FILE = Path(__file__).with_name("processors.py")


def marked() -> set[int]:
    lines = enumerate(FILE.read_text().splitlines(), start=1)
    return {number for number, line in lines if line.endswith("# error")}


def run(*command: str) -> str:
    done = subprocess.run([sys.executable, "-m", *command], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return done.stdout


def mypy_errors() -> set[int]:
    out = run("mypy", "--no-error-summary", str(FILE))
    return {int(number) for number in re.findall(r"processors\.py:(\d+): error", out)}


def pyright_errors() -> set[int]:
    report = json.loads(run("pyright", "--outputjson", str(FILE)))
    return {entry["range"]["start"]["line"] + 1 for entry in report["generalDiagnostics"]}


def test_mypy_reports_exactly_the_lines_that_are_marked() -> None:
    assert mypy_errors() == marked()


def test_pyright_reports_exactly_the_lines_that_are_marked() -> None:
    assert pyright_errors() == marked()
