"""mypy and pyright report exactly the marked lines of processors.py, producers.py and jobs_for_tests.py."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = [Path(__file__).with_name(name) for name in ("processors.py", "producers.py", "jobs_for_tests.py")]

every_file = pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)


def marked(file: Path) -> set[int]:
    lines = enumerate(file.read_text().splitlines(), start=1)
    return {number for number, line in lines if line.endswith("# error")}


def run(*command: str) -> str:
    done = subprocess.run([sys.executable, "-m", *command], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return done.stdout


def mypy_errors(file: Path) -> set[int]:
    out = run("mypy", "--no-error-summary", str(file))
    return {int(number) for number in re.findall(rf"{re.escape(file.name)}:(\d+): error", out)}


def pyright_errors(file: Path) -> set[int]:
    report = json.loads(run("pyright", "--outputjson", str(file)))
    return {entry["range"]["start"]["line"] + 1 for entry in report["generalDiagnostics"]}


@every_file
def test_mypy_reports_exactly_the_lines_that_are_marked(file: Path) -> None:
    assert mypy_errors(file) == marked(file)


@every_file
def test_pyright_reports_exactly_the_lines_that_are_marked(file: Path) -> None:
    assert pyright_errors(file) == marked(file)
