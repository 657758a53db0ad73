"""The processes in which a reader runs a page's Python: each file in one of its own, and one session."""

from __future__ import annotations

import re
import sys
import types
import typing as t

import pytest
from sybil import Example

_FILE = re.compile(r"# ((?:\w+/)*\w+)\.py\n")
_SESSION = "shown"


class Processes:
    """Evaluates a page's blocks. The invisible ones see everything, and `tools`; nothing sees what they define."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **tools: t.Any) -> None:
        self._monkeypatch = monkeypatch
        self._modules: list[types.ModuleType] = []
        self._invisible: dict[str, t.Any] = tools

    def evaluate(self, example: Example) -> None:
        """Run a block where the reader does."""
        if example.document.text.startswith("<!---", example.start):
            for module in self._modules:
                self._invisible.update(vars(module))
            example.namespace = self._invisible
        else:
            file = _FILE.match(example.parsed)
            name = file[1].replace("/", ".") if file else _SESSION
            example.namespace = vars(self._module(name, is_new=file is not None))
        example.evaluate()

    def _module(self, name: str, *, is_new: bool) -> types.ModuleType:
        found = next((module for module in self._modules if module.__name__ == name), None)
        if found is None or is_new:
            # FastAPI and pydantic resolve annotations in the module that defines them.
            found = types.ModuleType(name)
            self._monkeypatch.setitem(sys.modules, name, found)
            self._modules.append(found)
        return found
