"""The documentation site builds without a warning, loads nothing from elsewhere and has every public name."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import typing as t
from pathlib import Path

import griffe
import pytest
from markdown_it import MarkdownIt

import nextmq_handler
from tests.support.rest_api import documented

from .pages import PAGES, ROOT

pytestmark = pytest.mark.timeout(300)  # the first test builds the site

DOCS = ROOT / "docs"
PUBLIC = sorted({*nextmq_handler.__all__} - {"__version__"})
OUTSIDE = [page for page in PAGES if not page.startswith("docs/")]


class Site(t.NamedTuple):
    """The output of `mkdocs build`: the folder and the log."""

    folder: Path
    log: str


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    env = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return Site(folder, done.stdout + done.stderr)


def test_it_builds_without_a_warning(site: Site) -> None:
    assert "WARNING" not in site.log


def test_its_pages_load_nothing_from_elsewhere(site: Site) -> None:
    loaded = re.compile(
        r"""<(?:script|img|iframe|link\s[^>]*rel="?(?:stylesheet|preload|icon))[^>]*https?://[^>]*>"""
    )
    assert [found for page in site.folder.rglob("*.html") for found in loaded.findall(page.read_text())] == []


def test_its_pages_show_no_comment_of_their_source(site: Site) -> None:
    comment = re.compile("!-+ *(?:not run:|invisible-code|generated:)")
    assert [page.name for page in site.folder.rglob("*.html") if comment.search(page.read_text())] == []


@pytest.mark.parametrize("page", OUTSIDE)
def test_a_link_of_a_page_outside_of_the_site_leads_somewhere(page: str, site: Site) -> None:
    targets = [link for link in _links(PAGES[page]) if "://" not in link]
    broken = [target for target in targets if not _is_there(PAGES[page].parent, target, site.folder)]
    assert broken == []


def _links(page: Path) -> list[str]:
    inline = [child for token in MarkdownIt().parse(page.read_text()) for child in token.children or ()]
    return [str(token.attrs["href"]) for token in inline if token.type == "link_open"]


def _is_there(base: Path, target: str, site: Path) -> bool:
    name, _, anchor = target.partition("#")
    path = (base / name).resolve()
    if not anchor:
        return path.exists()
    return f'id="{anchor}"' in (site / path.relative_to(DOCS)).with_suffix(".html").read_text()


def test_the_reference_has_every_public_name_once() -> None:
    shown = re.findall(r"^::: nextmq_handler\.(\w+)$", _text("reference/*.md"), re.MULTILINE)
    assert sorted(shown) == PUBLIC


@pytest.fixture(scope="module")
def library() -> griffe.Object:
    loaded = griffe.load("nextmq_handler", search_paths=[ROOT], allow_inspection=False)
    assert isinstance(loaded, griffe.Object)
    return loaded


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_name_and_its_methods_have_docstrings(name: str, library: griffe.Object) -> None:
    shown = library[name]
    members = [shown, *(shown.all_members.values() if shown.is_class else ())]
    bare = [
        member.path
        for member in members
        if not member.name.startswith("_") and (member.is_function or member.is_class) and not member.has_docstring
    ]
    assert bare == []


def test_every_route_of_the_api_is_on_its_page(site: Site) -> None:
    page = (site.folder / "reference" / "rest-api.html").read_text()
    routes = {f"{method.upper()} {path}" for path, methods in documented()["paths"].items() for method in methods}
    assert {route for route in routes if f">{route}<" not in page} == set()


@pytest.mark.parametrize("command", ["dev", "serve", "projects", "projects add", "register", "workers replace"])
def test_a_command_is_on_its_page(command: str, site: Site) -> None:
    assert f">nextmq {command}<" in (site.folder / "reference" / "cli.html").read_text()


def test_every_variable_that_the_code_names_is_on_the_page_about_configuration() -> None:
    named: set[str] = set()
    for package in ("nextmq_handler", "nextmq_server", "adapters"):
        for path in (ROOT / package).rglob("*.py"):
            named |= set(re.findall(r"\bNEXTMQ_[A-Z_]+\b", path.read_text()))
    assert {name for name in named if f"`{name}`" not in _text("reference/configuration.md")} == set()


def _text(pattern: str) -> str:
    return "\n".join(path.read_text() for path in sorted(DOCS.glob(pattern)))
