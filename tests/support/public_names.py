"""What a type checker sees of a package whose names are loaded lazily."""

import ast
import types
from pathlib import Path


def seen_by_checkers(package: types.ModuleType) -> dict[str, str]:
    """Return the module of each name that `package` imports for checkers: `from .errors import X as X`."""
    assert package.__file__ is not None
    tree = ast.parse(Path(package.__file__).read_text(encoding="utf-8"))
    imports = next(node for node in tree.body if isinstance(node, ast.If)).body
    return {
        alias.name: "." * node.level + str(node.module)
        for node in imports
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.asname == alias.name
    }
