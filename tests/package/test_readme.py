"""The README's and docs' Python runs as it stands."""

from __future__ import annotations

import re
import sys
import types
from pathlib import Path

import pytest
from fastapi import FastAPI

from nextmq_handler import Worker

ROOT = Path(__file__).resolve().parents[2]
BLOCKS = [
    pytest.param(block, id=f"{page.name} block {number}")
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
    if page.name != "add-jobs.md"  # talks to a server: tests/e2e runs it
    for number, block in enumerate(re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL), start=1)
]


@pytest.mark.parametrize("block", BLOCKS)
def test_the_python_of_the_documentation_runs(block: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # FastAPI resolves annotations in the module that defines the route.
    module = types.ModuleType("documented")
    monkeypatch.setitem(sys.modules, "documented", module)
    exec(compile(block, "documented.py", "exec"), module.__dict__)
    assert any(isinstance(value, (Worker, FastAPI)) for value in module.__dict__.values())
