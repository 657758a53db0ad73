"""What the package tells about itself: its version, and its public names, which load when they are first used.

So an app pays only for what it runs.
"""

from __future__ import annotations

import sys
import typing as t

__version__ = "0.1.0"
"""pyproject.toml has it too: change both."""

SDK = f"nextmq-python/{__version__}"
"""The `sdk` member of a registration (protocol section 4)."""

SERVER = f"nextmq-server/{__version__}"
"""The `user-agent` of every request that the server sends: deliveries, triggers, alerts."""


def public_names(
    package: str, modules: t.Mapping[str, str]
) -> tuple[t.Callable[[str], t.Any], t.Callable[[], list[str]], list[str]]:
    """Return the `__getattr__`, `__dir__` and `__all__` of `package`. `modules` are its modules' public names."""
    where = {name: module for module, names in modules.items() for name in names.split()}
    exported = sorted(where)

    def load(name: str) -> t.Any:
        if name not in where:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        from importlib import import_module

        value = getattr(import_module(where[name], package), name)
        setattr(sys.modules[package], name, value)
        return value

    return load, lambda: exported, exported
