"""The pages that are documentation, and the blocks of code on them."""

from __future__ import annotations

import re
import typing as t
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).resolve().parents[2]
PAGES = {
    str(path.relative_to(ROOT)): path
    for pattern in ("*.md", "docs/**/*.md", "examples/*/README.md")
    for path in sorted(ROOT.glob(pattern))
}

_NOT_RUN = re.compile(r"<!-- not run: \S.* -->\s*\Z")


class Block(t.NamedTuple):
    """A block of code as a reader sees it: fenced with a language, or indented (`language` is empty)."""

    line: int
    language: str
    reason: bool
    """Whether a comment above it says why it is not run."""


def blocks_of(page: Path) -> list[Block]:
    """Return every block of `page`, in order."""
    text = page.read_text()
    lines = text.splitlines(keepends=True)
    return [
        Block(token.map[0] + 1, token.info.strip(), has_reason("".join(lines[: token.map[0]])))
        for token in MarkdownIt().parse(text)
        if token.type in ("fence", "code_block") and token.map
    ]


def has_reason(before: str) -> bool:
    """Tell whether the text before a block ends with `<!-- not run: why -->`."""
    return _NOT_RUN.search(before) is not None
