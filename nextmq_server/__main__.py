"""`python -m nextmq_server` is the `nextmq` command, in the server's environment.

Its commands are in `nextmq_server.cli`; the library's table of commands finds them by their entry points.
"""

from __future__ import annotations

from nextmq_handler.cli.main import main as main

__all__ = ["main"]

if __name__ == "__main__":
    main()
