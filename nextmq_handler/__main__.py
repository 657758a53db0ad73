"""`python -m nextmq_handler` is the `nextmq` command, as far as this environment can run it."""

from __future__ import annotations

from .cli.deploy import parser as parser
from .cli.main import main as main

__all__ = ["main", "parser"]

if __name__ == "__main__":
    main()
