"""A path that a page for contributors names exists."""

from __future__ import annotations

import re

import pytest

from .pages import ROOT

PATH = re.compile(r"`((?:\.?\w+/)+[\w.]*|\w+\.py)`(?! \(a new folder\))")


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "SECURITY.md", "docs/explanation/architecture.md"])
def test_a_path_on_the_page_exists(page: str) -> None:
    named = {path.rstrip("/") for path in PATH.findall((ROOT / page).read_text())}
    assert sorted(path for path in named if not _exists(path)) == []


def _exists(path: str) -> bool:
    return (ROOT / path).exists() or any(ROOT.glob(f"nextmq_*/**/{path}"))
