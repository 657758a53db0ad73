"""Post a trigger's payload: signed, with one deadline and no redirects. The status alone decides the outcome."""

from __future__ import annotations

import time
import typing as t

from ..dispatch.http.answers import AppAnswer, NoAnswer
from ..dispatch.http.client import DeliveryClient, signed_headers
from .records import StoredRun, StoredTrigger

# The signature is sent under the protocol's header names and under those of Standard Webhooks 1.0.
_NEXTMQ, _STANDARD = "x-nextmq-", "webhook-"


async def post(
    client: DeliveryClient,
    trigger: StoredTrigger,
    message_id: str,
    attempt: int,
    *,
    clock: t.Callable[[], float] = time.time,
) -> StoredRun:
    """Send one POST of the trigger. Any 2xx is a success; nothing after the head is read."""
    now, started_at = clock(), time.monotonic()
    body = trigger.body.encode("ascii")
    headers = signed_headers(trigger.signing_secrets(now), message_id, int(now), body)
    for name in [name for name in headers if name.startswith(_NEXTMQ)]:
        headers[name.replace(_NEXTMQ, _STANDARD)] = headers[name]
    answer = await client.send(trigger.url, headers, body, timeout=trigger.timeout / 1000, max_size=0)
    error = _error(answer)
    return StoredRun(
        at=round(now * 1000),
        status=answer.status,
        outcome="succeeded" if error is None else "failed",
        duration_ms=round((time.monotonic() - started_at) * 1000),
        attempt=attempt,
        error=error,
    )


def _error(answer: AppAnswer | NoAnswer) -> str | None:
    if isinstance(answer, NoAnswer):
        return answer.detail
    if 200 <= answer.status < 300:
        return None
    hint = "; redirects are never followed" if 300 <= answer.status < 400 else ""
    return f"the receiver answered {answer.status}{hint}"
