"""`python -m nextmq_handler` is the `nextmq` command, as far as this environment can run it.

`register` and `workers replace` need nothing else. The commands that look and change need the extra "cli", and
those of the server need the extra "server", best in an environment of its own. Their table is in
`nextmq_handler.cli.commands`.
"""

from __future__ import annotations

from .cli.main import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
