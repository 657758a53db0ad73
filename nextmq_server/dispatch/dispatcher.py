"""The dispatcher: a job becomes a signed delivery, its answer a verdict."""

from __future__ import annotations

import time
import typing as t
from dataclasses import dataclass, replace

from nextmq_handler._version import SERVER
from nextmq_handler.protocol.signing import Secret, signature_headers
from nextmq_handler.protocol.wire import MAX_OUTCOME_SIZE, encode_delivery
from nextmq_handler.rules.delivery_log import delivery_entry
from nextmq_handler.telemetry import delivery_headers

from ..engine.queues.job import EngineJob
from ..engine.verdicts import Fail, Hold, Verdict
from .findings import Reached
from .health import Health
from .http.answers import Answer, NoAnswer
from .http.client import DeliveryClient
from .judge import judge

MAX_FREE_STARTS = 100
"""After so many starts that burnt no attempt a job fails with TooManyStarts, unless told otherwise (section 3)."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a queue's deliveries go. `timeout` is ms; `fingerprint` is the registration's, echoed."""

    queue: str
    url: str
    timeout: int
    fingerprint: str


class Report(t.NamedTuple):
    """One delivery, for people: `status` is None where no HTTP answer came, `duration` is ms."""

    queue: str
    job_id: str
    job_name: str
    attempt: int
    delivery_id: str
    status: int | None
    verdict: Verdict
    duration: float
    is_final: bool


class Dispatcher:
    """Delivers jobs to endpoints.

    `health` gives that of a queue's endpoint, `secrets` the project's active webhook secrets at the moment;
    `note_signed` hears the id of the one that signed an outcome. `identify` gives the id of the delivery that a
    start of a job makes, `report` hears of each. After `max_free_starts` that burnt no attempt a job fails.
    """

    def __init__(
        self,
        client: DeliveryClient,
        *,
        health: t.Callable[[str], Health],
        secrets: t.Callable[[], t.Sequence[Secret]],
        identify: t.Callable[[str, EngineJob], str],
        note_signed: t.Callable[[str], None],
        report: t.Callable[[Report], None],
        max_free_starts: int = MAX_FREE_STARTS,
        clock: t.Callable[[], float] = time.time,
    ) -> None:
        self._client = client
        self._health = health
        self._secrets = secrets
        self._identify = identify
        self._note_signed = note_signed
        self._report = report
        self._max_free_starts = max_free_starts
        self._clock = clock

    async def deliver(self, endpoint: Endpoint, job: EngineJob) -> Verdict:
        """One delivery of `job`, and what becomes of it."""
        free_starts = job.attempts_started - job.attemptsMade - 1
        if free_starts >= self._max_free_starts:
            return Fail(
                "TooManyStarts",
                f"the job was started {free_starts} times without burning an attempt",
                unrecoverable=True,
            )
        delivery_id = self._identify(endpoint.queue, job)
        sent_at, started_at = self._clock(), time.monotonic()
        answer = await self._send(endpoint, job, delivery_id)
        duration = (time.monotonic() - started_at) * 1000
        job.is_answered = True
        finding = judge(answer, self._secrets(), delivery_id, now=self._clock())
        if isinstance(finding, Reached) and finding.secret_id is not None:
            self._note_signed(finding.secret_id)
        verdict = await self._health(endpoint.queue).verdict(finding)
        status = answer.status if isinstance(answer, Answer) else None
        if isinstance(verdict, Fail):
            verdict = replace(verdict, status=status)
        job.note_delivery(
            delivery_entry(
                delivery_id,
                at=round(sent_at * 1000),
                status=status,
                ms=round(duration),
                outcome=verdict.outcome,
                detail=verdict.reason if isinstance(verdict, Fail | Hold) else None,
            )
        )
        self._report(
            Report(
                queue=endpoint.queue,
                job_id=job.id,
                job_name=job.name,
                attempt=job.attemptsMade + 1,
                delivery_id=delivery_id,
                status=status,
                verdict=verdict,
                duration=duration,
                is_final=isinstance(verdict, Fail) and job.is_last_attempt(verdict),
            )
        )
        return verdict

    async def _send(self, endpoint: Endpoint, job: EngineJob, delivery_id: str) -> Answer | NoAnswer:
        now = self._clock()
        body = encode_delivery(
            job,
            job.data,
            id=delivery_id,
            queue=endpoint.queue,
            timeout=endpoint.timeout,
            now=round(now * 1000),
            fingerprint=endpoint.fingerprint,
        )
        headers = {
            "content-type": "application/json",
            "accept-encoding": "identity",
            "user-agent": SERVER,
            **delivery_headers(job.opts),
        }
        for name, value in signature_headers(self._secrets(), delivery_id, int(now), body):
            headers[name.decode()] = value.decode()
        return await self._client.send(
            endpoint.url, headers, body, timeout=endpoint.timeout / 1000, max_size=MAX_OUTCOME_SIZE
        )
