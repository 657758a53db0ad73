"""`nextmq replay`: send a copy of a job to an app on this machine. Nothing of the job changes."""

from __future__ import annotations

import json
import secrets
import typing as t
from urllib.parse import urlsplit

import typer

from .. import _overrides
from ..client._http.pools import http_client
from ..errors import ConfigurationError
from ..protocol.messages import Headers
from ..protocol.outcomes import Completed, Failed, Outcome, parse_outcome
from ..protocol.signing import Secret, SignatureError, parse_secret, signature_headers, verify_outcome
from ..protocol.wire import MAX_OUTCOME_SIZE, WireError, encode_delivery
from ..rules.limits import MAX_TIMEOUT_MS, MAX_WORKER_MS
from ..rules.log_text import one_line
from ..settings import is_loopback, load_settings, parse_connection_string
from .calls import ENV_FILE, Server, variables_of_this_folder
from .confirm import confirm
from .failure import FOUND, CommandFailed
from .options import QueueName, Url, Yes
from .output import duration, print_json, say, styled

if t.TYPE_CHECKING:
    import httpx

_READERS = ("viewer", "app")
"""Roles that may not see all data of a job."""

_HINTS = {
    401: "the app has another webhook secret than {source}, or another clock",
    404: "--to is not where the app mounts its handler, or the handler has no worker for this queue",
    413: "the job is larger than the app's max_body_size",
}


def replay(
    queue: QueueName,
    job: t.Annotated[str, typer.Argument(metavar="JOB", help="The id of the job.", show_default=False)],
    to: t.Annotated[
        str,
        typer.Option(metavar="APP_URL", help="Where the app mounts its handler.", show_default=False),
    ] = "http://127.0.0.1:8000/api/nextmq",
    timeout: t.Annotated[
        float, typer.Option(min=1, max=MAX_WORKER_MS / 1000, help="How long the app may take, in seconds.")
    ] = MAX_TIMEOUT_MS / 1000,
    url: Url = None,
    yes: Yes = False,
) -> None:
    """Send a job to an app on this machine, and finish nothing.

    The app prints the progress, the logs and the data that the job would store. What else its processor does, it
    does: mails are sent, jobs are added. The delivery is signed with the secret of the nextmq dev of this folder,
    or else with the one that this environment has for an app.
    """
    app_url = _checked(to)
    server = Server(url)
    if (role := server.get("project").get("key", {}).get("role")) in _READERS:
        raise CommandFailed(
            f"this key has the role {role}, and a replay needs operator: it shows all data of the job"
        )
    view = server.get("queues", queue, "jobs", job)
    if not is_loopback(urlsplit(app_url).hostname or ""):
        confirm(
            f"send job {job} of queue {queue} with all its data to {app_url}, which is not this machine", yes=yes
        )
    secret, source = _local_secret()
    say(f"Replaying {queue}/{job} ({one_line(view['name'])}) at {app_url}; nothing of the job changes.")
    started = _overrides.monotonic()
    id = f"dlv_{secrets.token_urlsafe(16)}"
    answer = _send(app_url, queue, id, _body(queue, view, id, timeout), secret, timeout)
    ms = (_overrides.monotonic() - started) * 1000
    outcome = _read(answer, secret, id, source)
    _tell(outcome, ms)
    if isinstance(outcome, Failed):
        raise typer.Exit(FOUND)


class ReplayedView:
    """A job's view as what a delivery needs of it."""

    def __init__(self, view: dict[str, t.Any]) -> None:
        self.id: str = view["id"]
        self.name: str = view["name"]
        self.opts: dict[str, t.Any] = view["opts"]
        self.attempts_made: int = view["attemptsMade"]
        self.attempts_started: int = view["attemptsStarted"] + 1
        self.stalled_counter: int = view["stalledCounter"]
        self.priority: int = view["priority"]
        self.delay: int = view["delay"]
        self.timestamp: int = view["timestamp"]
        self.processed_on: int | None = view["processedOn"] or 0
        self.progress: t.Any = view["progress"]
        self.parent: dict[str, object] | None = view["parent"]


def _checked(to: str) -> str:
    try:
        return load_settings(app_url=to, environ={}).app_url
    except ConfigurationError as exc:
        raise ConfigurationError(str(exc).replace("app_url", "--to", 1)) from None


def _local_secret() -> tuple[Secret, str]:
    """Return the secret to sign with, and where it is from. Raises CommandFailed."""
    if (text := variables_of_this_folder().get("NEXTMQ_URL")) is not None:
        connection = parse_connection_string(text, source=f"NEXTMQ_URL in {ENV_FILE}")
        return parse_secret(connection.webhook_secret), str(ENV_FILE)
    if found := load_settings().secrets:
        return found[0], "this environment"
    raise CommandFailed(
        "no webhook secret to sign with: start the app with nextmq dev -- COMMAND in this folder, or set "
        "NEXTMQ_WEBHOOK_SECRETS as the app has it"
    )


def _body(queue: str, view: dict[str, t.Any], id: str, timeout: float) -> bytes:
    return encode_delivery(
        ReplayedView(view),
        json.dumps(view["data"]),
        id=id,
        queue=queue,
        timeout=round(timeout * 1000),
        now=round(_overrides.wall_clock() * 1000),
        is_replay=True,
    )


def _send(app_url: str, queue: str, id: str, body: bytes, secret: Secret, timeout: float) -> httpx.Response:
    import httpx

    host = urlsplit(app_url).hostname or ""
    seal = signature_headers([secret], id, int(_overrides.wall_clock()), body)
    headers = [(b"content-type", b"application/json"), (b"accept-encoding", b"identity"), *seal]
    try:
        return http_client(is_local=is_loopback(host)).post(
            f"{app_url}/queues/{queue}", content=body, headers=headers, timeout=timeout, follow_redirects=False
        )
    except (httpx.HTTPError, httpx.InvalidURL) as exc:
        told = one_line(str(exc) or type(exc).__name__, 200)
        raise CommandFailed(f"no app answers at {app_url} ({told}): is it running, and is --to right?") from None


def _read(answer: httpx.Response, secret: Secret, id: str, source: str) -> Outcome:
    """Return the outcome in an answer. Raises CommandFailed."""
    if answer.status_code != 200:
        hint = _HINTS.get(answer.status_code, "its log says why").format(source=source)
        raise CommandFailed(f"the app answered {answer.status_code}: {hint}")
    if len(answer.content) > MAX_OUTCOME_SIZE:
        raise CommandFailed(f"the app's answer is over the limit of {MAX_OUTCOME_SIZE} bytes")
    try:
        headers = Headers(answer.headers.raw)
        verify_outcome(headers, answer.content, [secret], delivery_id=id, now=_overrides.wall_clock())
        return parse_outcome(answer.content)
    except (SignatureError, WireError) as exc:
        raise CommandFailed(f"the answer is not an outcome: {exc}; is --to the handler's URL?") from None


def _tell(outcome: Outcome, ms: float) -> None:
    match outcome:
        case Completed():
            say(f"{styled('completed', 'ok')} in {duration(ms)}, with")
            print_json(outcome.return_value)
        case Failed():
            say(f"{styled('failed', 'bad')} in {duration(ms)}: {one_line(outcome.reason)}")
            for line in outcome.stack.splitlines():
                say(f"  {one_line(line)}")
        case _:
            detail = f": {outcome.detail}" if outcome.detail else ""
            say(f"{outcome.outcome} in {duration(ms)}{detail}; a server would have put the job back")
