"""Asking before a change."""

from __future__ import annotations

import sys

import typer

from .failure import CommandFailed


def confirm(change: str, *, yes: bool) -> None:
    """Say what is about to happen, and go on if the user agrees.

    `change` is a sentence without its end, such as `remove 312 failed jobs of queue "emails"`. With `yes`,
    nobody is asked. Raises CommandFailed if there is no terminal to ask on, typer.Abort if the user says no.
    """
    sentence = change[:1].upper() + change[1:]
    if yes:
        typer.echo(f"{sentence}.", err=True)
    elif not sys.stdin.isatty():
        raise CommandFailed(f"this would {change}: say --yes to do it, since there is no terminal to ask on")
    else:
        typer.confirm(f"{sentence}?", abort=True, err=True)
