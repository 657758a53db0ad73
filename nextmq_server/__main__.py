"""`python -m nextmq_server` is the `nextmq` command, in the server's environment.

The library has the command and its table. The commands of the server are in `nextmq_server.cli`, and the table
finds them by their entry points, so that the library
imports nothing of the server.
"""

from __future__ import annotations

from nextmq_handler.cli.main import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
