"""`nextmq doctor [module:handler]`."""

from __future__ import annotations

import typing as t

import typer

from ...errors import AuthenticationError, NextMQError
from ...rules.log_text import one_line
from ..failure import FOUND, line_of
from ..options import AsJson, Url
from ..output import print_json, say, styled
from .findings import Check, Finding, Findings, unknown, wrong
from .queues import look_at_queues
from .redis import look_at_redis
from .server import look_at_server
from .settings import look_at_settings
from .workers import look_at_workers

_MARKS = {True: ("✓", "ok"), False: ("✗", "bad"), None: ("–", "muted")}


def doctor(
    handler: t.Annotated[
        str | None, typer.Argument(metavar="module:handler", help="The handler that your app mounts.")
    ] = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Check the whole set-up, each finding with its fix. Exits with 1 if something is wrong.

    In your app's environment name the handler, so that its code is compared with what is registered.
    """
    found: list[Finding] = []
    for finding in examine(url, handler):
        found.append(finding)
        if not as_json:
            _print(finding)
    is_ok = all(finding.is_ok is not False for finding in found)
    if as_json:
        print_json({"isOk": is_ok, "findings": [_view(finding) for finding in found]})
    if not is_ok:
        raise typer.Exit(FOUND)


def examine(url: str | None, target: str | None) -> Findings[None]:
    """Climb the ladder. A rung that cannot be passed is the last one."""
    setup = yield from look_at_settings(url, target)
    if setup is None:
        return
    asking = yield from look_at_server(setup)
    if asking is None:
        return
    yield from _guarded("redis", look_at_redis(asking))
    yield from _guarded("worker", look_at_workers(setup, asking))
    yield from _guarded("queue", look_at_queues(asking))


def _guarded(check: Check, rung: Findings[None]) -> Findings[None]:
    """Climb a rung; if the server refuses what it asks, tell that, and let the next one follow."""
    try:
        yield from rung
    except AuthenticationError as exc:  # the key is known: its role may not see this
        yield unknown(check, f"not checked: {line_of(exc)}")
    except NextMQError as exc:
        yield wrong(check, f"the server does not answer this check: {line_of(exc)}")


def _print(finding: Finding) -> None:
    mark, style = _MARKS[finding.is_ok]
    say(f"{styled(mark, style)} {finding.check:<9} {one_line(finding.text)}")
    if finding.fix:
        say(f"{'':<12}{one_line(finding.fix)}")


def _view(finding: Finding) -> dict[str, t.Any]:
    return {"check": finding.check, "isOk": finding.is_ok, "text": finding.text, "fix": finding.fix or None}
