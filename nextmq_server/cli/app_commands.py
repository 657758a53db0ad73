"""Commands that start an app: where the app will listen, as far as the command's words tell."""

from __future__ import annotations

import re
import typing as t
from pathlib import PurePath

from nextmq_handler.errors import ConfigurationError

MOUNT = "/api/nextmq"
"""The path at which the docs mount the handler."""


class AppServer(t.NamedTuple):
    """A program that serves apps: its default port, its options with a port or an address, the variable of it."""

    port: int
    options: tuple[str, ...]
    variable: str = ""


_SERVERS = {
    "uvicorn": AppServer(8000, ("--port",), "UVICORN_PORT"),
    "fastapi": AppServer(8000, ("--port",)),
    "flask": AppServer(5000, ("--port", "-p"), "FLASK_RUN_PORT"),
    "gunicorn": AppServer(8000, ("--bind", "-b"), "PORT"),
    "hypercorn": AppServer(8000, ("--bind", "-b")),
    "granian": AppServer(8000, ("--port",), "GRANIAN_PORT"),
}
_DJANGO = "runserver"
_OTHER = AppServer(8000, ("--port", "--bind"))
_AT_END = re.compile(r"(?:^|:)(\d{1,5})$")


def guess_app_url(command: t.Sequence[str], environ: t.Mapping[str, str]) -> str:
    """Return the NEXTMQ_APP_URL of the app that `command` starts on this machine, mounted at MOUNT.

    Raises ConfigurationError if the command listens on a Unix socket or on a port that the system chooses.
    """
    port = _port(command, environ)
    if port is None or not 0 < port < 65536:
        raise ConfigurationError(
            f"cannot tell the port at which {command[0]!r} will listen: pass --app with the URL at which your app "
            f"mounts the handler, such as --app http://127.0.0.1:8000{MOUNT}"
        )
    return f"http://127.0.0.1:{port}{MOUNT}"


def _port(command: t.Sequence[str], environ: t.Mapping[str, str]) -> int | None:
    """Return the port of the words of a command; None for what is not a port."""
    names = [PurePath(word).name for word in command]
    if _DJANGO in names:
        places = [word for word in command[names.index(_DJANGO) + 1 :] if not word.startswith("-")]
        return _port_in(places[0]) if places else _OTHER.port
    server = next((_SERVERS[name] for name in names if name in _SERVERS), _OTHER)
    value = _option(command, server.options)
    if value is None:
        value = environ.get(server.variable, "")
        return _port_in(value) if value else server.port
    # An address without a port, such as --bind 0.0.0.0, has the default one.
    return _port_in(value) if ":" in value or value.isdigit() else server.port


def _option(command: t.Sequence[str], options: tuple[str, ...]) -> str | None:
    for index, word in enumerate(command):
        for option in options:
            if word == option:
                return command[index + 1] if index + 1 < len(command) else None
            if option.startswith("--") and word.startswith(f"{option}="):
                return word.partition("=")[2]
            if not option.startswith("--") and word.startswith(option):
                return word.removeprefix(option)
    return None


def _port_in(text: str) -> int | None:
    found = _AT_END.search(text)
    return int(found[1]) if found else None
