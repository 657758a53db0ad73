"""Print `old -> new` for each test of a commit; exit 1 if one has no counterpart now.

    python scripts/map_tests.py [BASE]

A test keeps its name, or `renamed_tests.txt` beside this file has a line `old -> new` for it. Files are followed
through git's renames; a line of the table may name a file as it was called at any time.
"""

from __future__ import annotations

import ast
import subprocess
import sys
import typing as t
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TABLE = Path(__file__).with_name("renamed_tests.txt")
BASE = "fc9a91b"  # the last commit before the folders were sorted
FOLDERS = ("tests", "examples")


class Test(t.NamedTuple):
    """A test function: the path of its file, and its name, `Class::name` for a method."""

    path: str
    name: str

    def __str__(self) -> str:
        return f"{self.path}::{self.name}"


def git(*arguments: str) -> str:
    """Return what a git command prints."""
    return subprocess.run(["git", *arguments], cwd=ROOT, text=True, capture_output=True, check=True).stdout


def tests_in(path: str, source: str) -> t.Iterator[Test]:
    """Yield the tests that a file defines."""
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    for node in ast.parse(source).body:
        if isinstance(node, functions) and node.name.startswith("test_"):
            yield Test(path, node.name)
        if isinstance(node, ast.ClassDef) and node.name.startswith("Test"):
            names = (child.name for child in node.body if isinstance(child, functions))
            yield from (Test(path, f"{node.name}::{name}") for name in names if name.startswith("test_"))
        if isinstance(node, ast.Assign) and (name := ast.unparse(node.targets[0])).startswith("Test"):
            yield Test(path, name)  # hypothesis makes the class


def is_test_file(path: str) -> bool:
    """Tell whether pytest collects the file."""
    return path.rpartition("/")[2].startswith("test_") and path.endswith(".py")


def tests_at(commit: str) -> list[Test]:
    """Return the tests of a commit."""
    paths = filter(is_test_file, git("ls-tree", "-r", "--name-only", commit, "--", *FOLDERS).splitlines())
    return [test for path in paths for test in tests_in(path, git("show", f"{commit}:{path}"))]


def tests_now() -> list[Test]:
    """Return the tests of the work tree."""
    listed = git("ls-files", "--cached", "--others", "--exclude-standard", "--", *FOLDERS).splitlines()
    paths = [path for path in sorted(set(listed)) if is_test_file(path) and (ROOT / path).exists()]
    return [test for path in paths for test in tests_in(path, (ROOT / path).read_text())]


def renames_since(commit: str) -> dict[str, list[str]]:
    """Return the later names of each file that was renamed, oldest first."""
    later: dict[str, list[str]] = defaultdict(list)
    log = git(
        "log",
        "--reverse",
        "--topo-order",
        "--no-merges",
        "-M",
        "--diff-filter=R",
        "--name-status",
        "--format=",
        f"{commit}..",
    )
    for line in filter(
        None, [*log.splitlines(), *git("diff", "-M", "--diff-filter=R", "--name-status", "HEAD").splitlines()]
    ):
        _, old, new = line.split("\t")
        for names in later.values():
            if names[-1] == old:
                names.append(new)
        if not any(names[-1] == new for names in later.values()):
            later[old].append(new)
    return later


def read_table() -> dict[str, str]:
    """Return the lines of the table, old to new."""
    lines = TABLE.read_text().splitlines() if TABLE.exists() else []
    pairs = (line.split(" -> ", 1) for line in lines if " -> " in line and not line.startswith("#"))
    return {old.strip(): new.strip() for old, new in pairs}


def follow(name: str, table: t.Mapping[str, str]) -> str:
    """Return what a test is called after all of its renames."""
    return follow(table[name], table) if table.get(name, name) != name else name


def counterparts(base: str) -> t.Iterator[tuple[Test, str | None]]:
    """Yield each test of a commit with the test of now that it became, or None."""
    renames, table, now = renames_since(base), read_table(), tests_now()
    known, old_tests = {str(test) for test in now}, tests_at(base)
    paths = {test: [test.path, *renames.get(test.path, [])] for test in old_tests}
    kept = {str(Test(paths[test][-1], test.name)) for test in old_tests}
    for old in old_tests:
        named = sorted(
            {follow(name, table) for path in paths[old] if (name := str(Test(path, old.name))) in table}
        )
        same = str(Test(paths[old][-1], old.name))
        moved = [str(test) for test in now if test.name == old.name and str(test) not in kept]
        candidates = named or ([same] if same in known else moved)
        yield old, candidates[0] if len(candidates) == 1 and candidates[0] in known else None


def main() -> int:
    """Print the map; return the exit status."""
    missing = 0
    for old, new in counterparts(sys.argv[1] if sys.argv[1:] else BASE):
        missing += new is None
        print(f"{old} -> {new or 'MISSING'}")
    print(f"{missing} tests without a counterpart", file=sys.stderr)
    return bool(missing)


if __name__ == "__main__":
    sys.exit(main())
