"""The Python blocks of docs/how-to/test.md are files in one folder, and their tests pass."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "how-to" / "test.md"


def test_the_page_about_testing_does_what_it_says(tmp_path: Path) -> None:
    text = PAGE.read_text()
    for name, block in re.findall(r"```python\n# (\w+\.py)\n(.*?)```", text, re.DOTALL):
        (tmp_path / name).write_text(block)
    tests = text.count("\ndef test_")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "--rootdir",
            str(tmp_path),
            "-p",
            "no:cacheprovider",
            "--import-mode=prepend",
        ],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'adapters'}"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert f"\n{tests} passed" in done.stdout, done.stdout + done.stderr


def test_every_block_of_the_page_says_which_file_it_is() -> None:
    text = PAGE.read_text()
    assert text.count("```python\n") == len(re.findall(r"```python\n# \w+\.py\n", text))


def test_the_probe_of_the_page_can_be_served(tmp_path: Path) -> None:
    [block] = re.findall(r"```python\n# probed\.py\n(.*?)```", PAGE.read_text(), re.DOTALL)
    names: dict[str, object] = {}
    exec(compile(block, "probed.py", "exec"), names)
    assert "app" in names
