"""The `nextmq` command. What a deployment needs works without the server extra; the rest names what to install."""

from __future__ import annotations

import sys

_LIBRARY_COMMANDS = ("register", "workers")


def main() -> None:
    """Run the command line."""
    if sys.argv[1:] and sys.argv[1] in _LIBRARY_COMMANDS:
        from nextmq_handler.__main__ import main as library_main

        library_main()
        return
    try:
        from .cli.commands import app
    except ModuleNotFoundError as exc:
        if (exc.name or "").partition(".")[0] in ("nextmq_server", "nextmq_handler"):
            raise
        sys.exit(
            f"This nextmq command needs the server extra ({exc.name} is missing): "
            'pip install "nextmq-handler[server]", best in an environment of its own (pipx, uvx)'
        )
    app()


if __name__ == "__main__":
    main()
