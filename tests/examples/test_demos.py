"""Each example's demo, as its README runs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("examples.fastapi.demo", "Every job ended as it should."),
        ("examples.flask.demo", "Every page showed what it should."),
        (
            "examples.aws_lambda.demo",
            "Every job ended as it should, and the mailing service got everything once.",
        ),
    ],
)
def test_a_demo_ends_well(module: str, line: str) -> None:
    demo = subprocess.run(
        [sys.executable, "-m", module], cwd=ROOT, capture_output=True, check=False, encoding="utf-8", timeout=90
    )
    output = demo.stdout + demo.stderr
    assert demo.returncode == 0, output
    assert line in demo.stdout.splitlines(), output
