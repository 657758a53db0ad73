"""The `nextmq` command. Says what to install where the server's parts are missing."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line."""
    try:
        from .cli import app
    except ModuleNotFoundError as exc:
        if (exc.name or "").partition(".")[0] in ("nextmq_server", "nextmq_handler"):
            raise
        sys.exit(
            f"The nextmq command needs the server's parts ({exc.name} is missing): "
            'pip install "nextmq-handler[server]", best in an environment of its own (pipx, uvx)'
        )
    app()


if __name__ == "__main__":
    main()
