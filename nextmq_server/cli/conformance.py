"""`nextmq conformance`: the receiver's table against any handler behind a URL."""

from __future__ import annotations

import typing as t

import anyio
import typer

from nextmq_handler.errors import ConfigurationError
from nextmq_handler.protocol.names import check_queue_name
from nextmq_handler.protocol.signing import Secret, parse_secret
from nextmq_handler.protocol.wire import MAX_BODY_SIZE
from nextmq_handler.settings import load_settings

from ..conformance.limits import Integration
from ..conformance.report import line_of, summary
from ..conformance.scoring import CheckedHandler, GroupScore, score, total


def conformance(
    url: t.Annotated[str, typer.Argument(help="Where the handler is, mount included: its NEXTMQ_APP_URL.")],
    secret: t.Annotated[
        str | None,
        typer.Option(help="Its webhook secret; without, that of NEXTMQ_WEBHOOK_SECRETS or NEXTMQ_URL."),
    ] = None,
    queue: t.Annotated[
        str | None,
        typer.Option(help="A queue there with the probe for a processor. Without, no outcome is scored."),
    ] = None,
    integration: t.Annotated[
        Integration,
        typer.Option(
            "--integration", "--home", help="What is in front of the handler, and keeps some requests from it."
        ),
    ] = Integration.STREAM,
    max_body_size: t.Annotated[int, typer.Option(min=2000, help="The handler's, bytes.")] = MAX_BODY_SIZE,
    body_timeout: t.Annotated[float, typer.Option(min=0, help="The handler's, s.")] = 10.0,
    timeout: t.Annotated[float, typer.Option(min=0.1, help="How long an answer may take, s.")] = 30.0,
) -> None:
    """Send the whole receiver table to a handler in any language; exit 0 where it passes each case."""
    try:
        name = None if queue is None else check_queue_name(queue)
        target = CheckedHandler(url, _secret(secret), name, integration, max_body_size, body_timeout, timeout)
        scores = anyio.run(_score, target)
    except ConfigurationError as exc:
        typer.echo(f"nextmq conformance: {exc}", err=True)
        raise typer.Exit(2) from None
    for line in summary(scores):
        typer.echo(line)
    passed, sent = total(scores)
    raise typer.Exit(0 if passed == sent else 1)


async def _score(target: CheckedHandler) -> list[GroupScore]:
    scores: list[GroupScore] = []
    async for group in score(target):
        typer.echo(line_of(group))
        scores.append(group)
    return scores


def _secret(text: str | None) -> Secret:
    if text is not None:
        return parse_secret(text, source="--secret")
    secrets = load_settings().secrets
    if not secrets:
        raise ConfigurationError("no webhook secret: set NEXTMQ_WEBHOOK_SECRETS or NEXTMQ_URL, or pass --secret")
    return secrets[0]
