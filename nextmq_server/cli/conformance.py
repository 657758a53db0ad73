"""`nextmq conformance`: check any handler behind a URL against the protocol."""

from __future__ import annotations

import typing as t

import typer

from nextmq_handler.errors import ConfigurationError
from nextmq_handler.protocol.arguments import check_queue_name
from nextmq_handler.protocol.signing import Secret, parse_secret
from nextmq_handler.protocol.wire import MAX_BODY_SIZE
from nextmq_handler.settings import load_settings

from ..conformance.limits import Integration
from ..conformance.report import line_of, summary
from ..conformance.scoring import CheckedHandler, GroupScore, score
from .options import exit_on_error, on_event_loop


@exit_on_error("nextmq conformance", status=2)
@on_event_loop
async def conformance(
    url: t.Annotated[
        str, typer.Argument(help="The handler's URL, including its mount path: the app's NEXTMQ_APP_URL.")
    ],
    secret: t.Annotated[
        str | None,
        typer.Option(help="The handler's webhook secret. Default: that of NEXTMQ_WEBHOOK_SECRETS or NEXTMQ_URL."),
    ] = None,
    queue: t.Annotated[
        str | None,
        typer.Option(help="A queue whose processor is the probe. Without it, outcomes are not checked."),
    ] = None,
    integration: t.Annotated[
        Integration,
        typer.Option("--integration", "--home", help="What runs the handler: it decides which requests arrive."),
    ] = Integration.STREAM,
    max_body_size: t.Annotated[
        int, typer.Option(min=2000, help="The handler's body limit, in bytes.")
    ] = MAX_BODY_SIZE,
    body_timeout: t.Annotated[float, typer.Option(min=0, help="The handler's body timeout, in s.")] = 10.0,
    timeout: t.Annotated[float, typer.Option(min=0.1, help="How long an answer may take, in s.")] = 30.0,
) -> None:
    """Check a handler in any language against the protocol. Exits 0 if every case passes, 1 if not."""
    name = None if queue is None else check_queue_name(queue)
    target = CheckedHandler(url, _secret(secret), name, integration, max_body_size, body_timeout, timeout)
    scores: list[GroupScore] = []
    async for group in score(target):
        typer.echo(line_of(group))
        scores.append(group)
    for line in summary(scores):
        typer.echo(line)
    raise typer.Exit(1 if any(found.holes for found in scores) else 0)


def _secret(text: str | None) -> Secret:
    if text is not None:
        return parse_secret(text, source="--secret")
    secrets = load_settings().secrets
    if not secrets:
        raise ConfigurationError("no webhook secret: set NEXTMQ_WEBHOOK_SECRETS or NEXTMQ_URL, or pass --secret")
    return secrets[0]
