"""Send a message to one channel, once."""

from __future__ import annotations

import asyncio
import logging
import smtplib
import time
import typing as t

from nextmq_handler.protocol.signing import parse_secret
from nextmq_handler.rules.log_text import one_line

from ..dispatch.http.answers import NoAnswer
from ..dispatch.http.client import DeliveryClient, signed_headers
from .mail import SMTP_VARIABLE, MailRelay
from .messages import AlertMessage
from .rules import Channel, EmailChannel, LogChannel, WebhookChannel

logger = logging.getLogger("nextmq_server.alerts")

SEND_TIMEOUT = 10.0
"""How long, in s, a receiver of a webhook may take to answer."""

_MAX_PROBLEM = 300  # characters


async def send(
    message: AlertMessage, channel: Channel, client: DeliveryClient, relay: MailRelay | None
) -> str | None:
    """Send the message; return why that failed, or None."""
    match channel:
        case LogChannel():
            logger.warning("alert %s", one_line(message.text.replace("\n", "; "), 2000))
            return None
        case WebhookChannel():
            return await _post(message, channel, client)
        case EmailChannel():
            return await _mail(message, channel, relay)
        case _:
            t.assert_never(channel)


async def _post(message: AlertMessage, channel: WebhookChannel, client: DeliveryClient) -> str | None:
    body = message.body(channel.format)
    secrets = [parse_secret(channel.secret, source="the secret of an alert")] if channel.secret else []
    headers = signed_headers(secrets, message.id, int(time.time()), body)
    signed = {name: value for name, value in headers.items() if name.startswith("x-nextmq-")}
    headers = {name: value for name, value in headers.items() if name not in signed}
    if secrets:
        headers |= {name.replace("x-nextmq-", "webhook-"): value for name, value in signed.items()}
    answer = await client.send(channel.url, headers, body, timeout=SEND_TIMEOUT, max_size=0)
    if isinstance(answer, NoAnswer):
        return one_line(answer.detail, _MAX_PROBLEM)
    return None if 200 <= answer.status < 300 else f"{channel.place} answered {answer.status}"


async def _mail(message: AlertMessage, channel: EmailChannel, relay: MailRelay | None) -> str | None:
    if relay is None:
        return f"the server has no relay: set {SMTP_VARIABLE} and restart it"
    try:
        await asyncio.to_thread(relay.send, channel.to, message.subject, message.text)
    except (OSError, smtplib.SMTPException) as exc:
        return one_line(f"{relay.host}: {exc}", _MAX_PROBLEM)
    return None
