"""Which jobs a command is about: ids, or a filter that is put together from options."""

from __future__ import annotations

import typing as t

import typer

from .failure import USAGE, CommandFailed

State = t.Annotated[str | None, typer.Option("--state", help="The state of the jobs, such as failed.")]
Name = t.Annotated[str | None, typer.Option("--name", help="The name of the jobs; * stands for anything.")]
Search = t.Annotated[str | None, typer.Option("--search", help="A text in their name, data or error.")]
Since = t.Annotated[
    str | None, typer.Option("--since", help="Ended, or added, in this time: 30m, 2h, 7d, or an ISO date.")
]
Filter = t.Annotated[
    str | None, typer.Option("--filter", help="A filter, such as 'state:failed error:502 data.user.id:42'.")
]


def filter_of(state: str | None, name: str | None, search: str | None, since: str | None, more: str | None) -> str:
    """Return the filter that options make; empty if none is given."""
    terms = [f"state:{state}"] if state else []
    terms += [f"name:{_quoted(name, keeps='*')}"] if name else []
    terms += [f"since:{since}"] if since else []
    terms += [_quoted(search)] if search else []
    return " ".join([*terms, more] if more else terms)


def check_either(ids: t.Sequence[str] | None, filter: str) -> None:
    """Raise CommandFailed if jobs are named both ways."""
    if ids and filter:
        raise CommandFailed("name jobs by their ids or by a filter, not by both", USAGE)


def _quoted(text: str, *, keeps: str = "") -> str:
    """Return the text as one term: quoted, unless it is a plain word."""
    if text and all(char.isalnum() or char in f"_-.{keeps}" for char in text):
        return text
    return '"{}"'.format(text.replace("\\", "\\\\").replace('"', '\\"'))
