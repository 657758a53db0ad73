"""The dispatcher: send a job as a signed delivery, and turn the answer into a verdict."""

from __future__ import annotations

import time
import typing as t
from dataclasses import dataclass

from nextmq_handler.protocol.clocks import wall_clock
from nextmq_handler.protocol.outcomes import Failed
from nextmq_handler.protocol.signing import Secret
from nextmq_handler.protocol.wire import MAX_OUTCOME_SIZE, UnfitData, encode_delivery
from nextmq_handler.rules.attempts import MAX_FREE_STARTS, too_many_starts
from nextmq_handler.rules.delivery_log import delivery_entry

from ..engine.queues.job import EngineJob
from ..engine.verdicts import Hold, Verdict
from .delivery_ids import delivery_id
from .health import Health
from .http.client import DeliveryClient, signed_headers
from .judge import Reached, excerpt_of, judge
from .probe import Probe, probe
from .reports import Reporter
from .untraced import DeliverySpan, NoTracer, Tracer


@dataclass(frozen=True, slots=True)
class AppEndpoint:
    """Where a queue's deliveries go. `timeout` is ms; `fingerprint` is the registration's, echoed to the app."""

    queue: str
    url: str
    timeout: int
    fingerprint: str


class WebhookSecrets(t.Protocol):
    """The project's webhook secrets, as a dispatcher uses them."""

    @property
    def secrets(self) -> t.Sequence[Secret]:
        """The secrets that are active at the moment."""
        ...

    def note_signed(self, secret_id: str) -> None:
        """Take note that the secret `secret_id` has signed an outcome."""
        ...


Heard = t.Callable[[str, str, str], None]
"""Takes note of a signed outcome: its queue, the fingerprint of the worker that answered, the secret's id."""


def _unheard(_queue: str, _fingerprint: str, _secret_id: str) -> None:
    """Take no note."""


TELL_INTERVAL = 1.0
"""How often, in s, it is noted at most that the same worker of a queue answers under the same secret."""


class Dispatcher:
    """Deliver jobs to endpoints, signed under the `secrets` of one project.

    A job fails after `max_free_starts` starts that used no attempt. `heard` is called with a signed outcome if the
    last one of its queue came from another worker or under another secret, or after TELL_INTERVAL. `server` is the
    id of this process, for the log of a job's deliveries. `tracer` starts a span for each delivery.
    """

    def __init__(
        self,
        client: DeliveryClient,
        secrets: WebhookSecrets,
        reporter: Reporter,
        *,
        max_free_starts: int = MAX_FREE_STARTS,
        heard: Heard = _unheard,
        server: str | None = None,
        tracer: Tracer | None = None,
        clock: t.Callable[[], float] = wall_clock,
    ) -> None:
        self._client = client
        self._secrets = secrets
        self._reporter = reporter
        self._max_free_starts = max_free_starts
        self._heard = heard
        self._server = server
        self._tracer = tracer or NoTracer()
        self._clock = clock
        self._last_heard: dict[str, tuple[str, str, float]] = {}

    async def deliver(self, endpoint: AppEndpoint, health: Health, job: EngineJob) -> Verdict:
        """Deliver `job` once and return what happens to it next. `health` is that of the endpoint."""
        failure = too_many_starts(job.attempts_started, job.attempts_made, self._max_free_starts)
        if failure is not None:
            return failure
        id = delivery_id(endpoint.queue, job)
        span = self._tracer.start(endpoint.queue, endpoint.url, job, id)
        try:
            return await self._deliver(endpoint, health, job, id, span)
        finally:
            span.end()

    async def _deliver(
        self, endpoint: AppEndpoint, health: Health, job: EngineJob, id: str, span: DeliverySpan
    ) -> Verdict:
        sent_at, started_at = self._clock(), time.monotonic()
        sent_ms = round(sent_at * 1000)
        try:
            body = encode_delivery(
                job,
                job.data,
                id=id,
                queue=endpoint.queue,
                timeout=endpoint.timeout,
                now=sent_ms,
                fingerprint=endpoint.fingerprint,
            )
        except UnfitData as exc:
            return Failed("InvalidData", str(exc), unrecoverable=True)
        headers = signed_headers(self._secrets.secrets, id, int(sent_at), body) | span.headers
        answer = await self._client.send(
            endpoint.url, headers, body, timeout=endpoint.timeout / 1000, max_size=MAX_OUTCOME_SIZE
        )
        answered_at = time.monotonic()
        duration = (answered_at - started_at) * 1000
        job.is_answered = True
        finding = judge(answer, self._secrets.secrets, id, now=self._clock())
        is_signed = isinstance(finding, Reached) and finding.secret_id is not None
        if isinstance(finding, Reached) and finding.secret_id is not None:
            self._hear(endpoint.queue, finding.fingerprint or endpoint.fingerprint, finding.secret_id, answered_at)
        verdict = await health.verdict(finding, job.id)
        if isinstance(verdict, Failed):
            verdict.status = answer.status
        job.note_delivery(
            delivery_entry(
                id,
                at=sent_ms,
                status=answer.status,
                ms=round(duration),
                outcome=verdict.outcome,
                attempt=job.attempts_made + 1,
                is_signed=is_signed,
                detail=verdict.reason if isinstance(verdict, Failed | Hold) else None,
                excerpt=None if is_signed else excerpt_of(answer),
                server=self._server,
            )
        )
        is_final = isinstance(verdict, Failed) and job.is_last_attempt(verdict)
        span.answered(answer.status, verdict, is_final=is_final)
        self._reporter.tell(
            endpoint.queue,
            job,
            id,
            answer.status,
            verdict,
            duration,
            is_final=is_final,
            sent_at=sent_ms,
            is_signed=is_signed,
            traceparent=span.headers.get("traceparent", ""),
        )
        return verdict

    async def probe(self, url: str) -> Probe:
        """Return what a probe of the endpoint at `url` finds."""
        return await probe(self._client, self._secrets.secrets, url, clock=self._clock)

    def _hear(self, queue: str, fingerprint: str, secret_id: str, now: float) -> None:
        last_fingerprint, last_id, at = self._last_heard.get(queue, ("", "", 0.0))
        if last_id == secret_id and last_fingerprint == fingerprint and now - at < TELL_INTERVAL:
            return
        self._last_heard[queue] = fingerprint, secret_id, now
        self._secrets.note_signed(secret_id)
        self._heard(queue, fingerprint, secret_id)
