"""`python -m nextmq_handler` is the `nextmq` command, as far as this environment can run it.

`register` and `workers replace` need nothing else; the commands that look and change need the extra "cli", those of
the server the extra "server".
"""

from __future__ import annotations

from .cli.main import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
