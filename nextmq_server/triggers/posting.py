"""Post a trigger's payload: signed, with one deadline and no redirects. The status alone decides the outcome."""

from __future__ import annotations

import time
import typing as t

from nextmq_handler._version import SERVER
from nextmq_handler.protocol.signing import signature_headers

from ..dispatch.http.answers import AppAnswer, NoAnswer
from ..dispatch.http.client import DeliveryClient
from .records import Trigger, TriggerRun

_NEXTMQ, _STANDARD = "x-nextmq-", "webhook-"


async def post(
    client: DeliveryClient,
    trigger: Trigger,
    message_id: str,
    attempt: int,
    *,
    clock: t.Callable[[], float] = time.time,
) -> TriggerRun:
    """Send one POST of the trigger. Any 2xx is a success; nothing after the head is read."""
    now, started_at = clock(), time.monotonic()
    body = trigger.body.encode("ascii")
    headers = {
        "content-type": "application/json",
        "accept-encoding": "identity",
        "user-agent": SERVER,
        **_signature_headers(trigger, message_id, now, body),
    }
    answer = await client.send(trigger.url, headers, body, timeout=trigger.timeout / 1000, max_size=0)
    error = _error(answer)
    return TriggerRun(
        at=round(now * 1000),
        status=answer.status if isinstance(answer, AppAnswer) else None,
        outcome="succeeded" if error is None else "failed",
        duration_ms=round((time.monotonic() - started_at) * 1000),
        attempt=attempt,
        error=error,
    )


def _signature_headers(trigger: Trigger, message_id: str, now: float, body: bytes) -> dict[str, str]:
    """Return the protocol's headers, and the same under the names of Standard Webhooks 1.0."""
    headers: dict[str, str] = {}
    for name, value in signature_headers(trigger.signing_secrets(now), message_id, int(now), body):
        headers[name.decode()] = headers[name.decode().replace(_NEXTMQ, _STANDARD)] = value.decode()
    return headers


def _error(answer: AppAnswer | NoAnswer) -> str | None:
    if isinstance(answer, NoAnswer):
        return answer.detail
    if 200 <= answer.status < 300:
        return None
    hint = "; redirects are never followed" if 300 <= answer.status < 400 else ""
    return f"the receiver answered {answer.status}{hint}"
