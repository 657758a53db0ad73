"""The check of the layout finds what it is for."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from scripts.house import Module, circles, imports, logical_lines, old_words, repeated_classes


def module(name: str, text: str, *, path: str | None = None) -> Module:
    return Module(name, Path(path or name.replace(".", "/") + ".py"), text, ast.parse(text))


@pytest.mark.parametrize(
    "text",
    [
        "import pkg.b",
        "from . import b",
        "from .b import name",
        "from pkg import b",
        "from pkg.b import name",
        "def f():\n    from .b import name",
        "if TYPE_CHECKING:\n    from .b import Name",
    ],
)
def test_an_import_is_found_in_whatever_way_it_is_written(text: str) -> None:
    assert imports(module("pkg.a", text), {"pkg", "pkg.a", "pkg.b"}) - {"pkg"} == {"pkg.b"}


def test_an_import_of_a_package_starts_from_itself() -> None:
    package = module("pkg.inner", "from .b import name", path="pkg/inner/__init__.py")
    assert imports(package, {"pkg.b", "pkg.inner.b"}) == {"pkg.inner.b"}


def test_modules_that_reach_each_other_are_a_circle() -> None:
    graph = {"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}, "e": set[str]()}
    assert circles(graph) == [["a", "b", "c"]]


def test_a_class_name_in_two_modules_is_found() -> None:
    found = repeated_classes(
        [module("a", "class Job: ..."), module("b", "class Job: ..."), module("c", "class C: ...")]
    )
    assert found == {"Job": ["a", "b"]}


def test_a_class_of_a_generated_module_may_repeat() -> None:
    generated = module("b", "class Job: ...", path="pkg/_sync/b.py")
    assert repeated_classes([module("a", "class Job: ..."), generated]) == {}


def test_only_lines_of_code_count() -> None:
    text = (
        '"""Say what\nit is."""\n\n# why\nx = [\n    1,  # one\n]\n\n\ndef f():\n    """Do it."""\n    return x\n'
    )
    assert logical_lines(module("a", text)) == 5


@pytest.mark.parametrize("line", ["no attempt is burnt", "Homes of the suite", "it is no JSON", "a key of ours"])
def test_an_old_word_is_found(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scripts.house.ROOT", tmp_path)
    page = tmp_path / "page.md"
    page.write_text(f"a first line\n{line}\n")
    assert list(old_words([page]).values()) == [["page.md:2"]]


@pytest.mark.parametrize(
    "line", ["it is no longer used", "burner", "a homepage", "if there is no app", "deliver(home=1)"]
)
def test_a_word_that_only_resembles_an_old_one_is_ignored(line: str, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(line)
    assert old_words([page]) == {}
