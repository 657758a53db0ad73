"""Print the figures of the layout (sizes, import circles, names, words); exit 1 if one breaks its bound."""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
import typing as t
from collections import Counter, defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = {
    "nextmq_handler": ROOT / "nextmq_handler",
    "nextmq_server": ROOT / "nextmq_server",
    "nextmq_adapters": ROOT / "adapters" / "nextmq_adapters",
}
GENERATED = "_sync"

MAX_MODULES = 20  # beside each other in a folder
MIN_LINES, MAX_LINES = 15, 300  # of a module; an __init__ may be shorter
OLD_WORDS = {
    "burn": r"\bburn(s|t|ed|ing)?\b",
    "home": r"(?<!--)\bhomes?\b(?![/=:\"`])",  # `home=` and `--home` are old names that still work
    "colour": r"\bcolou?rs?\b",
    "is no": r"(?<!there )\bis no (?!longer\b)",
    "where there is": r"\bwhere there is\b",
    "there is none": r"\bthere is none\b",
    "of ours": r"\bof ours\b",
    "that is to be": r"\bthat is to be\b",
}

Node = t.TypeVar("Node", bound=ast.AST)


class Module(t.NamedTuple):
    """A module of the product: its dotted name, its text and its syntax tree."""

    name: str
    path: Path
    text: str
    tree: ast.Module

    @property
    def generated(self) -> bool:
        """Whether the module is generated from another one."""
        return GENERATED in self.path.parts

    @property
    def package(self) -> str:
        """The package that relative imports start from."""
        return self.name if self.path.name == "__init__.py" else self.name.rpartition(".")[0]

    def nodes(self, kind: type[Node]) -> t.Iterator[Node]:
        """Yield the nodes of one kind."""
        return (node for node in ast.walk(self.tree) if isinstance(node, kind))


def read_modules() -> dict[str, Module]:
    """Read every module of the product."""
    modules = {}
    for package, folder in PACKAGES.items():
        for path in sorted(folder.rglob("*.py")):
            parts = [package, *path.relative_to(folder).with_suffix("").parts]
            name = ".".join(part for part in parts if part != "__init__")
            text = path.read_text()
            modules[name] = Module(name, path, text, ast.parse(text))
    return modules


def imports(module: Module, known: t.Container[str]) -> set[str]:
    """Return the product's modules that a module imports, those for type checkers included."""
    names = {alias.name for node in module.nodes(ast.Import) for alias in node.names}
    for node in module.nodes(ast.ImportFrom):
        parents = module.package.split(".")[: 1 - node.level or None] if node.level else []
        base = ".".join([*parents, *([node.module] if node.module else [])])
        names |= {inner if (inner := f"{base}.{alias.name}") in known else base for alias in node.names}
    return {name for name in names if name in known} - {module.name}


def circles(graph: t.Mapping[str, set[str]]) -> list[list[str]]:
    """Return the groups of modules that reach each other."""
    reached = {name: _reach(graph, name) for name in graph}
    groups = {frozenset(other for other in reached[name] if name in reached[other]) for name in graph}
    return sorted(sorted(group) for group in groups if len(group) > 1)


def _reach(graph: t.Mapping[str, set[str]], start: str) -> set[str]:
    found, open_ends = set[str](), [start]
    while open_ends:
        for name in graph[open_ends.pop()] - found:
            found.add(name)
            open_ends.append(name)
    return found


def repeated_classes(modules: t.Iterable[Module]) -> dict[str, list[str]]:
    """Return the class names that more than one module defines."""
    places = defaultdict(list)
    for module in modules:
        for node in module.tree.body:
            if isinstance(node, ast.ClassDef) and not module.generated:
                places[node.name].append(module.name)
    return {name: found for name, found in sorted(places.items()) if len(found) > 1}


def logical_lines(module: Module) -> int:
    """Count the lines that hold code: no blank line, comment or docstring."""
    empty = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)
    lines = set[int]()
    for token in tokenize.generate_tokens(io.StringIO(module.text).readline):
        if token.type not in empty:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in module.nodes(ast.Expr):
        if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            lines.difference_update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return len(lines)


def old_words(paths: t.Iterable[Path]) -> dict[str, list[str]]:
    """Return where the words that the glossary replaced still occur, each as `file:line`."""
    places = defaultdict(list)
    for path in paths:
        for number, line in enumerate(path.read_text().splitlines(), 1):
            for word, pattern in OLD_WORDS.items():
                if re.search(pattern, line, re.IGNORECASE):
                    places[word].append(f"{path.relative_to(ROOT)}:{number}")
    return dict(places)


def main() -> int:
    """Print the figures, then what breaks its bound; return the exit status."""
    modules = read_modules()
    written = [module for module in modules.values() if not module.generated]
    sizes = sorted((module.text.count("\n"), module) for module in written if module.path.name != "__init__.py")
    folders = Counter(module.path.parent for module in written if module.path.name != "__init__.py")
    graph = {name: imports(module, modules) for name, module in modules.items()}
    lines = {module.name: logical_lines(module) for module in modules.values()}
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
    words = old_words([*(module.path for module in written), *pages])
    fullest, count = folders.most_common(1)[0]

    print(f"modules            {len(modules)}, {sum(lines.values()):,} logical lines")
    print(f"  not generated    {len(written)}, {sum(lines[module.name] for module in written):,} logical lines")
    print(f"fullest folder     {fullest.relative_to(ROOT)}, {count} modules (at most {MAX_MODULES})")
    print(f"shortest module    {sizes[0][1].name}, {sizes[0][0]} lines (at least {MIN_LINES})")
    print(f"longest module     {sizes[-1][1].name}, {sizes[-1][0]} lines (at most {MAX_LINES})")
    print(f"import circles     {len(circles(graph))}")
    print(f"repeated classes   {len(repeated_classes(written))}")
    print(f"old words          {sum(map(len, words.values()))}")

    broken = [
        *(f"{folder.relative_to(ROOT)} has {n} modules" for folder, n in folders.items() if n > MAX_MODULES),
        *(f"{module.name} has {n} lines" for n, module in sizes if not MIN_LINES <= n <= MAX_LINES),
        *(f"import circle: {', '.join(circle)}" for circle in circles(graph)),
        *(f"class {name} is in {', '.join(places)}" for name, places in repeated_classes(written).items()),
        *(f"old word {word!r}: {', '.join(places)}" for word, places in words.items()),
    ]
    print(*broken, sep="\n", end="\n" if broken else "")
    return bool(broken)


if __name__ == "__main__":
    sys.exit(main())
