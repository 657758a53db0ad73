"""The Python of README and docs runs as shown: against a server, and for an app, with jobs through it.

A block that begins with a comment such as `# main.py` is that file, and knows nothing but what is in it. The other
blocks of a page are typed in one Python session: they may import a file of the page, and share nothing else.

A page's claims about its code are asserted in its source, in invisible Python blocks
(`<!--- invisible-code: python`) that use the functions of Stage.
"""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
from sybil import Sybil
from sybil.evaluators.python import PythonEvaluator
from sybil.parsers.markdown import CodeBlockParser

from nextmq_server.testing.processes import ChildProcess, start_dev_server
from tests.support.unconfigured_django import unconfigured_django

from .pages import PAGES, blocks_of
from .processes import Processes
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
    with unconfigured_django():
        yield


@pytest.mark.usefixtures("_django_not_configured")
@pytest.mark.parametrize("page", WITH_PYTHON)
def test_the_python_of_a_page_does_what_the_page_says(
    page: str, stage: Stage, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    processes = Processes(
        monkeypatch,
        serve=stage.serve,
        run=stage.run,
        delivery=stage.delivery,
        eventually=stage.eventually,
        printed=lambda: capsys.readouterr().out.splitlines(),
    )
    for example in EXAMPLES.parse(PAGES[page]).examples():
        processes.evaluate(example)


def evaluate(text: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Evaluate the blocks of a page with this text."""
    page = tmp_path / "page.md"
    page.write_text(text)
    processes = Processes(monkeypatch)
    for example in EXAMPLES.parse(page).examples():
        processes.evaluate(example)


FILE = "```python\n# main.py\nimport time\nstarted = time.time()\n```\n"


@pytest.mark.parametrize(
    "block",
    [
        "```python\nprint(time.time())\n```\n",
        "```python\nprint(started)\n```\n",
        "```python\n# other.py\nprint(started)\n```\n",
        "```python\nimport other\n```\n",
        "<!--- invisible-code: python\nhidden = 1\n-->\n\n```python\nprint(hidden)\n```\n",
        "```python\nprint(serve)\n```\n",
    ],
)
def test_a_block_that_needs_what_its_process_does_not_have_is_found(
    block: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises((NameError, ModuleNotFoundError)):
        evaluate(f"{FILE}\n{block}", monkeypatch, tmp_path)


@pytest.mark.parametrize(
    "block",
    [
        "```python\nfrom main import started\nprint(started)\n```\n",
        "```python\nx = 1\n```\n\n```python\nprint(x)\n```\n",
        "```python\nx = 1\n```\n\n<!--- invisible-code: python\nassert (x, started > 0) == (1, True)\n-->\n",
    ],
)
def test_a_block_has_what_its_process_has(block: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    evaluate(f"{FILE}\n{block}", monkeypatch, tmp_path)
