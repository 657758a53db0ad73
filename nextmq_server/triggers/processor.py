"""The processor of the triggers' queue: post each job's payload, signed, with one deadline and no redirects."""

from __future__ import annotations

import hashlib
import logging
import time
from dataclasses import dataclass

from nextmq_handler.protocol.outcomes import Completed, Failed

from ..dispatch.health import UNSENDABLE_PAUSE
from ..dispatch.http.answers import AppAnswer, NoAnswer
from ..dispatch.http.client import DeliveryClient, signed_headers
from ..dispatch.reports import Reporter
from ..engine.queues.job import EngineJob
from ..engine.queues.jobs import decoded
from ..engine.verdicts import Hold, Verdict
from ..redis.connection import ConnectionLost, RedisError
from .records import StoredRun, StoredTrigger, TriggerRecords
from .schedules import QUEUE, trigger_of

logger = logging.getLogger("nextmq_server.triggers")

# The signature is sent under the protocol's header names and under those of Standard Webhooks 1.0.
_NEXTMQ, _STANDARD = "x-nextmq-", "webhook-"


@dataclass
class TriggerProcessor:
    """Process the jobs of one project's triggers."""

    records: TriggerRecords
    client: DeliveryClient
    reporter: Reporter

    async def __call__(self, job: EngineJob) -> Verdict:
        """Post the payload of the job's trigger once. The status alone decides the outcome."""
        data = decoded(job.data)
        trigger = await self.records.get(trigger_of(data))
        if trigger is None or (trigger.is_paused and not data.get("isFired")):
            return Completed(None)  # removed or paused since: the request is not wanted any more
        message_id = _message_id(trigger, job)
        run = await self._post(trigger, message_id, job.attempts_made + 1)
        if isinstance(run, Hold):
            logger.error("trigger %s: %s; it is sent later and uses no attempt", trigger.id, run.reason)
            return run
        try:
            await self.records.note(trigger.id, run)
        except (RedisError, ConnectionLost) as exc:  # not a reason to send it again
            logger.warning("trigger %s: cannot record its last run: %s", trigger.id, exc)
        verdict = Completed(None) if run.error is None else Failed("TriggerFailed", run.error, status=run.status)
        is_final = isinstance(verdict, Failed) and job.is_last_attempt(verdict)
        self.reporter.tell(
            QUEUE, job, message_id, run.status, verdict, run.duration_ms, is_final=is_final, sent_at=run.at
        )
        return verdict

    async def _post(self, trigger: StoredTrigger, message_id: str, attempt: int) -> StoredRun | Hold:
        """Send one POST. Any 2xx is a success; nothing after the head is read. Hold if the server cannot send."""
        now, started_at = time.time(), time.monotonic()
        body = trigger.body.encode("ascii")
        headers = signed_headers(trigger.signing_secrets(now), message_id, int(now), body)
        for name in [name for name in headers if name.startswith(_NEXTMQ)]:
            headers[name.replace(_NEXTMQ, _STANDARD)] = headers[name]
        answer = await self.client.send(trigger.url, headers, body, timeout=trigger.timeout / 1000, max_size=0)
        if isinstance(answer, NoAnswer) and answer.kind == "unsendable":
            return Hold(UNSENDABLE_PAUSE, answer.detail)
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


def _message_id(trigger: StoredTrigger, job: EngineJob) -> str:
    """Return the same id for each attempt of a run, as Standard Webhooks asks: it reveals repetitions."""
    run = f"{trigger.id} {job.id} {job.timestamp}"
    return f"msg_{hashlib.sha256(run.encode('utf-8', 'replace')).hexdigest()[:32]}"
