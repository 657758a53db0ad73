"""The Python of README and docs runs as shown: against a server, and for an app, with jobs through it.

A page's claims about its code are asserted in its source, in invisible Python blocks
(`<!--- invisible-code: python`) that use the functions of Stage.
"""

from __future__ import annotations

import sys
import types
import typing as t

import pytest
from django.conf import settings as django_settings
from django.utils.functional import empty
from sybil import Sybil
from sybil.evaluators.python import PythonEvaluator
from sybil.parsers.markdown import CodeBlockParser

from nextmq_server.testing.processes import ChildProcess, start_dev_server

from .pages import PAGES, blocks_of
from .stage import Stage

EXAMPLES = Sybil([CodeBlockParser("python", PythonEvaluator())])
OF_FILES = "docs/how-to/test.md"
"""Its blocks are test files: tests/testing/test_documentation.py runs them."""
WITH_PYTHON = [
    page
    for page, path in PAGES.items()
    if page != OF_FILES and "python" in {block.language for block in blocks_of(path)}
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[tuple[ChildProcess, str]]:
    child, url = start_dev_server(tmp_path_factory.mktemp("server"))
    yield child, url
    child.stop()


@pytest.fixture
def stage(server: tuple[ChildProcess, str], monkeypatch: pytest.MonkeyPatch) -> t.Iterator[Stage]:
    made = Stage(*server)
    monkeypatch.setenv("NEXTMQ_URL", made.url)
    monkeypatch.setenv("NEXTMQ_APP_URL", made.app_url)
    yield made
    made.clear()


@pytest.fixture
def _django_not_configured() -> t.Iterator[None]:
    """Let a page configure Django, even if another test of this process configured it."""
    held = vars(django_settings)
    before = dict(held)
    held.clear()
    held["_wrapped"] = empty
    yield
    held.clear()
    held.update(before)


@pytest.mark.usefixtures("_django_not_configured")
@pytest.mark.parametrize("page", WITH_PYTHON)
def test_the_python_of_a_page_does_what_the_page_says(
    page: str, stage: Stage, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # FastAPI and pydantic resolve annotations in the module that defines them.
    module = types.ModuleType("shown")
    monkeypatch.setitem(sys.modules, "shown", module)
    document = EXAMPLES.parse(PAGES[page])
    document.namespace = module.__dict__
    document.namespace.update(
        serve=stage.serve,
        run=stage.run,
        delivery=stage.delivery,
        eventually=stage.eventually,
        printed=lambda: capsys.readouterr().out.splitlines(),
    )
    for example in document.examples():
        example.evaluate()
