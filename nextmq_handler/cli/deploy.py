"""The steps of a deployment, without typer: an app's environment need not have it.

register module:handler           register the handler's workers: this version of the app is the one from now on
workers replace module:handler    the same, for servers of older versions
"""

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    import argparse


def is_step(words: t.Sequence[str]) -> bool:
    """Tell whether a command line is a step of a deployment."""
    return list(words[:1]) == ["register"] or list(words[:2]) == ["workers", "replace"]


def main(words: t.Sequence[str]) -> None:
    """Register the workers of a handler. Raises NextMQError."""
    options = parser().parse_args(words)
    register(options.target, options.release, replace=options.replace)


def register(target: str, release: str | None = None, *, replace: bool = False) -> None:
    """Register the workers of a handler. Raises NextMQError."""
    # Only these steps pay for the import.
    from ..registration.calls import ensure_workers_registered
    from ..workers.loading import workers_of

    found = workers_of(target)
    ensure_workers_registered(found, release=release, deploy=True, replace=replace)
    print(f"registered {', '.join(worker.name for worker in found)}")  # noqa: T201 - a command's output


def parser() -> argparse.ArgumentParser:
    """Return the parser of the steps."""
    import argparse  # the other commands are typer's

    made = argparse.ArgumentParser(prog="nextmq", description="Register workers with the server of NEXTMQ_URL.")
    commands = made.add_subparsers(required=True, metavar="COMMAND")
    add = commands.add_parser("register", help="register a handler's workers")
    add.set_defaults(replace=False)
    workers = commands.add_parser("workers", help="registrations").add_subparsers(required=True, metavar="COMMAND")
    replace = workers.add_parser("replace", help="register, and replace registrations that differ")
    replace.set_defaults(replace=True)
    for command in (add, replace):
        command.add_argument(
            "--release", help="the version of the app; default: NEXTMQ_RELEASE, or the platform's"
        )
        command.add_argument("target", metavar="module:handler", help="such as app.main:nextmq")
    return made
