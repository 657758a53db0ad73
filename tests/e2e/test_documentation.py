"""The Python of docs/how-to/add-jobs.md runs as it stands, block after block, against a server and an app."""

from __future__ import annotations

import re
import sys
import types
import typing as t
from pathlib import Path

import pytest

if t.TYPE_CHECKING:
    from .conftest import Circle

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "add-jobs.md"


def test_the_page_about_producers_does_what_it_says(
    circle: Circle, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    circle.start_server()
    circle.start_app("documented_app:app")
    monkeypatch.setenv("NEXTMQ_URL", circle.url)
    module = types.ModuleType("documented")
    monkeypatch.setitem(sys.modules, "documented", module)
    for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL):
        exec(compile(block, PAGE.name, "exec"), module.__dict__)
    printed = capsys.readouterr().out.splitlines()
    assert printed == [
        "{'sent_to': 'ada@example.com'}",
        "ada@example.com",
        "['https://a.example', 'https://b.example']",
    ]
