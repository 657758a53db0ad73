"""The signed path: a job becomes a signed delivery, the real handler takes it, its signed answer is judged."""

from __future__ import annotations

import typing as t

from ....protocol import strict_json
from ....protocol.messages import Headers, Request, Response
from ....protocol.signing import generate_secret, parse_secret, signature_headers, verify_outcome
from ....protocol.wire import Failed, Outcome, clip, encode_delivery, parse_outcome
from ....receiver.attempt import Attempt, run
from ....receiver.receiver import Handler, HandlerOptions
from ....telemetry import delivery_headers

if t.TYPE_CHECKING:
    import anyio

    from ....protocol.signing import Secret
    from ....workers.worker import Worker
    from .clock import VirtualClock
    from .faults import Fault
    from .job import SimulatedJob

_EXCERPT_SIZE = 2048


class Delivery:
    """One delivery on its way: what the handler made of it, and what stands against it."""

    __slots__ = ("attempt", "fault", "id", "job", "refusal", "secret")

    def __init__(self, job: SimulatedJob, id: str, fault: Fault | None) -> None:
        self.job = job
        self.id = id
        self.fault = fault
        self.attempt: Attempt | None = None
        self.secret: Secret | None = None
        self.refusal: Response | None = None


class LocalApp:
    """The app's side: a handler for the workers, with a secret of its own and the virtual clock."""

    def __init__(self, workers: t.Sequence[Worker], clock: VirtualClock) -> None:
        secret = generate_secret()
        self._clock = clock
        self._secrets = (parse_secret(secret),)
        self.url: str = f"nextmq+http://local:{secret}@127.0.0.1/local"
        # Whatever the environment says: a test's deliveries are between these two.
        settings: HandlerOptions = {"url": self.url, "app_url": "http://127.0.0.1", "webhook_secrets": secret}
        self._handler = Handler(workers, **settings, clock=clock.seconds) if workers else None
        self._timeouts = {worker.name: worker.options["timeout"] for worker in workers}

    def open(self, delivery: Delivery) -> None:
        """Sign the delivery and hand it to the handler: it has an attempt then, or a refusal."""
        handler = self._handler
        assert handler is not None
        queue = delivery.job.key.queue
        job, timeout = delivery.job, self._timeouts[queue]
        body = encode_delivery(
            job, strict_json.compact(job.data), id=delivery.id, queue=queue, timeout=timeout, now=self._clock.ms
        )
        seal = signature_headers(self._secrets, delivery.id, int(self._clock.seconds()), body)
        trace = [(name.encode(), value.encode()) for name, value in delivery_headers(delivery.job.opts).items()]
        headers = Headers([(b"content-type", b"application/json"), *seal, *trace])
        request = Request("POST", f"/queues/{queue}", headers)
        plan = handler.begin(request)
        if isinstance(plan, Response):
            delivery.refusal = plan
            return
        secret = handler.verify(plan, body)
        attempt = secret if isinstance(secret, Response) else handler.parse(plan, body)
        if isinstance(attempt, Response) or isinstance(secret, Response):
            delivery.refusal = t.cast("Response", attempt)
            return
        if delivery.fault is not None:
            delivery.fault.put_into(attempt)
        delivery.secret, delivery.attempt = secret, attempt

    def close(self, delivery: Delivery, outcome: Outcome | None) -> tuple[Outcome, int]:
        """What the server makes of the handler's answer, and the answer's status."""
        if delivery.refusal is not None:
            return _refused(delivery.refusal), delivery.refusal.status
        assert self._handler is not None
        assert delivery.attempt is not None
        assert delivery.secret is not None
        assert outcome is not None
        answer = self._handler.finish(delivery.attempt.delivery, outcome, delivery.secret)
        headers, now = Headers(answer.headers), self._clock.seconds()
        verify_outcome(headers, answer.body, self._secrets, delivery_id=delivery.id, now=now)
        return parse_outcome(answer.body), answer.status


def run_here(delivery: Delivery) -> Outcome | None:
    """Run the processor: a `def` one in this thread, an `async def` one on the process's kept loop."""
    attempt = delivery.attempt
    if attempt is None:
        return None
    with attempt.trace:
        outcome = _run(attempt)
        attempt.trace.ended(outcome)
    return outcome


async def run_awaited(delivery: Delivery, limiter: anyio.CapacityLimiter) -> Outcome | None:
    """Run the processor: a `def` one in a thread of its own, an `async def` one on this loop."""
    from ....receiver.run_async import run_async

    attempt = delivery.attempt
    if attempt is None:
        return None
    with attempt.trace:
        outcome = await run_async(attempt, limiter)
        attempt.trace.ended(outcome)
    return outcome


def _run(attempt: Attempt) -> Outcome:
    if attempt.processor is None or not attempt.processor.is_async:
        return run(attempt)
    from ....receiver import kept_loop
    from ....receiver.run_async import run_coroutine

    return kept_loop.run(run_coroutine, attempt)


def _refused(answer: Response) -> Failed:
    excerpt = clip(answer.body[:_EXCERPT_SIZE].decode("utf-8", "replace"), _EXCERPT_SIZE)
    return Failed("DeliveryRefused", f"the app answered {answer.status}: {excerpt}", unrecoverable=True)
