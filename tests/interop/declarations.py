"""The public members of bullmq's classes and options: Node's from its .d.ts files, Python's by inspection."""

from __future__ import annotations

import inspect
import re
import typing as t
from pathlib import Path

_COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)
_MEMBER = re.compile(
    r"^\s*(?P<modifiers>(?:(?:readonly|static|protected|private|get|set|abstract)\s+)*)'?(?P<name>[\w$-]+)'?\??\s*[<(:;]"
)


def members_of_node(folder: Path, owner: str) -> set[str]:
    """Return the public members that a class, interface or type declares itself; of "Class.method" its options."""
    owner, _, method = owner.partition(".")
    for path in sorted((folder / "dist" / "esm").glob("*/*.d.ts")):
        text = _COMMENT.sub("", path.read_text())
        head = re.search(rf"\b(class|interface|type) {owner}\b", text)
        if head and method:
            options = re.search(rf"\n {{4}}{method}\([^)]*?(\{{[^}}]*\}})\)", text[head.end() :])
            assert options is not None, f"{owner}.{method} takes no options"
            return set(_members(options[1].rpartition("}: ")[2]))
        if head:
            return set(_members(text[_start_of_body(text, head.end()) :], is_type=head[1] == "type"))
    raise AssertionError(f"Node's bullmq has no {owner}")


def _members(text: str, *, is_type: bool = False) -> t.Iterator[str]:
    """Read the members of the body at the start of `text`; other types may follow it."""
    depth, line = 0, ""
    for character in text:
        depth -= character in "})]"
        if depth == 0 and character in (";" if is_type else "}"):
            yield from _member(line + ";")
            return
        if depth == 1 and character in ";\n":
            yield from _member(line + ";")
            line = ""
        elif depth == 1:
            line += character
        depth += character in "{(["
        if depth == 2 and character == "(":
            line += character


def _member(line: str) -> t.Iterator[str]:
    match = _MEMBER.match(line)
    if match and "private" not in match["modifiers"] and "protected" not in match["modifiers"]:
        yield match["name"]


def _start_of_body(text: str, start: int) -> int:
    """Find the brace of the body, behind those of type parameters and of base types."""
    angles = 0
    for index, character in enumerate(text[start:], start):
        angles += {"<": 1, ">": 0 if text[index - 1] == "=" else -1}.get(character, 0)
        if character == "{" and angles == 0:
            return index
    raise AssertionError("a declaration without a body")


def members_of_python(owner: type[t.Any]) -> set[str]:
    """Return the public members of a class, or of a TypedDict."""
    if hasattr(owner, "__total__"):
        return set(owner.__annotations__)
    return {name for name, _ in inspect.getmembers(owner) if not name.startswith("_")}


def classes_of_node(folder: Path) -> set[str]:
    """Return the names of the classes that Node's bullmq exports."""
    declarations = (folder / "dist" / "esm" / "classes").glob("**/*.d.ts")
    return {
        name for path in declarations for name in re.findall(r"\bexport declare class (\w+)", path.read_text())
    }


def classes_of_python(package: t.Any) -> set[str]:
    """Return the names of the classes that a package exports."""
    return {name for name, value in vars(package).items() if inspect.isclass(value) and not name.startswith("_")}
