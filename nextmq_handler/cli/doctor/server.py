"""The rungs of the server: it answers, its clock is right, it knows the key, the project and the secret."""

from __future__ import annotations

import email.utils
import typing as t

from ... import _overrides
from ...client._http.pools import http_client
from ...errors import AuthenticationError, NextMQError
from ...protocol.signing import TOLERANCE
from ...rules.log_text import one_line
from ...settings import ServerConnection
from ..failure import line_of
from .findings import Asking, Findings, good, unknown, wrong
from .settings import Setup

if t.TYPE_CHECKING:
    import httpx

REACH_TIMEOUT = 5.0
"""How long, in s, the server may take to say that it lives."""

ALARMING_SKEW = 30.0
"""Clocks that differ by more s than this will one day differ by more than the tolerance of signatures."""


def look_at_server(setup: Setup) -> Findings[Asking | None]:
    """Reach the server, and check the key and the secret. Returns who asks it, if it lets us ask."""
    connection = setup.settings.connection
    answer = _reach(connection)
    if isinstance(answer, str):
        yield wrong(
            "server",
            f"nothing answers at {connection.base_url}: {answer}",
            "start the server (nextmq dev, nextmq serve), or correct host and port of NEXTMQ_URL",
        )
        return None
    if answer.status_code != 200 or _status_of(answer) != "ok":
        yield wrong(
            "server",
            f"something other than a NextMQ server answers at {connection.base_url} ({answer.status_code})",
            "correct host and port of NEXTMQ_URL: it is the server's URL, not the app's",
        )
        return None
    yield from _look_at_clock(answer)
    asking = Asking(connection)
    try:
        project = asking.get("project")
    except AuthenticationError as exc:
        yield wrong(
            "key", line_of(exc), "copy NEXTMQ_URL anew: nextmq dev prints it, nextmq projects rotate makes one"
        )
        return None
    except NextMQError as exc:
        yield wrong("server", line_of(exc), "the server's log has the reason")
        return None
    yield good("key", f"the server knows the API key, of project {project['name']}")
    yield from _look_at_secret(setup, project)
    return asking


def _look_at_clock(answer: httpx.Response) -> Findings[None]:
    sent = answer.headers.get("date")
    if sent is None:
        yield unknown("clock", "the server does not tell its time")
        return
    try:
        server_time = email.utils.parsedate_to_datetime(sent).timestamp()
    except ValueError:
        yield unknown("clock", "the server tells its time in a form that nobody reads")
        return
    skew = _overrides.wall_clock() - server_time
    if abs(skew) <= ALARMING_SKEW:
        yield good("clock", "the clocks agree")
        return
    effect = (
        f"; deliveries are refused from {TOLERANCE:g} s on" if abs(skew) <= TOLERANCE else ": deliveries get 401"
    )
    yield wrong(
        "clock",
        f"this machine's clock is {abs(skew):.0f} s {'before' if skew > 0 else 'behind'} the server's{effect}",
        "synchronise the clocks (NTP) of the app's machine and of the server's",
    )


def _look_at_secret(setup: Setup, project: dict[str, t.Any]) -> Findings[None]:
    known = {secret["id"] for secret in project["webhookSecrets"]}
    own = [secret.id for secret in setup.settings.secrets]
    if not own:
        # A service that only adds jobs needs none; a handler's own check has told.
        yield unknown("secret", "the connection string has no webhook secret: enough to add jobs, not to run them")
    elif not known.intersection(own):
        yield wrong(
            "secret",
            f"the webhook secret {', '.join(own)} is not one of the project's: {', '.join(sorted(known))}",
            "copy the whole NEXTMQ_URL anew, or correct NEXTMQ_WEBHOOK_SECRETS",
        )
    else:
        yield good("secret", "the webhook secret is the project's")


def _reach(connection: ServerConnection) -> httpx.Response | str:
    """Return the answer of the server's health check, or why none came."""
    import httpx

    try:
        return http_client(is_local=connection.is_local).get(
            f"{connection.base_url}/healthz", timeout=REACH_TIMEOUT
        )
    except (httpx.HTTPError, httpx.InvalidURL) as exc:
        return one_line(str(exc) or type(exc).__name__, 200)


def _status_of(answer: httpx.Response) -> object:
    try:
        body = answer.json()
    except ValueError:
        return None
    return t.cast("dict[str, object]", body).get("status") if isinstance(body, dict) else None
