"""The signed path: a job becomes a signed delivery, the real receiver takes it, its signed answer is read."""

from __future__ import annotations

import contextlib
import typing as t

from ....protocol import strict_json
from ....protocol.messages import Headers, Request, Response
from ....protocol.signing import generate_secret, parse_secret, signature_headers, verify_outcome
from ....protocol.wire import Failed, Outcome, clip, encode_delivery, parse_outcome
from ....receiver.attempt import Attempt
from ....receiver.receiver import Claim, ReadPlan, Receiver, Steps
from ....receiver.replay import MemoryReplayGuard
from ....receiver.sync_driver import run_attempt
from ....telemetry import delivery_headers

if t.TYPE_CHECKING:
    import anyio

    from ....workers.worker import Worker
    from .clock import VirtualClock
    from .faults import Fault
    from .job import SimulatedJob

_EXCERPT_SIZE = 2048


class LocalDelivery:
    """One delivery on its way: the receiver's steps, the attempt to run, and the answer once there is one."""

    __slots__ = ("answer", "attempt", "fault", "id", "job", "plan", "steps")

    def __init__(self, job: SimulatedJob, id: str, fault: Fault | None) -> None:
        self.job: SimulatedJob = job
        self.id: str = id
        self.fault: Fault | None = fault
        self.plan: ReadPlan | None = None
        self.steps: Steps | None = None
        self.attempt: Attempt | None = None
        self.answer: Response | None = None

    def finish(self, outcome: Outcome) -> None:
        """Let the receiver answer with `outcome`."""
        assert self.plan is not None
        assert self.steps is not None
        assert self.attempt is not None
        self.attempt.outcome = outcome
        next(self.steps, None)
        self.answer = self.plan.response

    def close(self) -> None:
        """End the receiver's steps, if an exception has left them unfinished."""
        if self.steps is not None:
            self.steps.close()


class LocalApp:
    """The app's side: a receiver for the workers, with its own secret, a replay guard and the virtual clock."""

    def __init__(self, workers: t.Sequence[Worker], clock: VirtualClock) -> None:
        secret = generate_secret()
        self._clock = clock
        self._secrets = (parse_secret(secret),)
        self.url: str = f"nextmq+http://local:{secret}@127.0.0.1/local"
        self._timeouts = {worker.name: worker.options["timeout"] for worker in workers}
        self._receiver: Receiver | None = None
        if workers:
            self._receiver = Receiver(
                workers,
                url=self.url,  # these three, whatever the environment says
                app_url="http://127.0.0.1",
                webhook_secrets=secret,
                replay_guard=MemoryReplayGuard(monotonic=clock.seconds),
                clock=clock.seconds,
            )

    def open(self, delivery: LocalDelivery) -> None:
        """Sign the delivery and take the receiver's steps up to an attempt to run, or to a refusal."""
        receiver = self._receiver
        assert receiver is not None
        job, queue = delivery.job, delivery.job.queue_name
        data, timeout = strict_json.compact(job.data), self._timeouts[queue]
        body = encode_delivery(job, data, id=delivery.id, queue=queue, timeout=timeout, now=self._clock.ms)
        seal = signature_headers(self._secrets, delivery.id, int(self._clock.seconds()), body)
        trace = [(name.encode(), value.encode()) for name, value in delivery_headers(job.opts).items()]
        headers = Headers([(b"content-type", b"application/json"), *seal, *trace])
        plan = receiver.begin(Request("POST", f"/queues/{queue}", headers))
        if isinstance(plan, Response):
            delivery.answer = plan
            return
        delivery.plan, delivery.steps = plan, receiver.receive(plan, body)
        for step in delivery.steps:
            match step:
                case Attempt():
                    if delivery.fault is not None:
                        delivery.fault.put_into(step)
                    delivery.attempt = step
                    return
                case Claim():
                    step.refusal = receiver.claim(plan)
                case _:
                    t.assert_never(step)
        delivery.answer = plan.response

    def judge(self, delivery: LocalDelivery) -> tuple[Outcome, int | None]:
        """Return what the server makes of the app's answer or of the fault, and the answer's status."""
        fault, answer = delivery.fault, delivery.answer
        if fault is not None and fault.verdict is not None:
            return fault.verdict, fault.status
        assert answer is not None
        if answer.status != 200:
            return _refused(answer), answer.status
        headers, now = Headers(answer.headers), self._clock.seconds()
        verify_outcome(headers, answer.body, self._secrets, delivery_id=delivery.id, now=now)
        return parse_outcome(answer.body), answer.status


def run_here(delivery: LocalDelivery) -> None:
    """Run the processor: a `def` one in this thread, an `async def` one on the process's kept loop."""
    if delivery.attempt is not None:
        with contextlib.closing(delivery):
            delivery.finish(run_attempt(delivery.attempt))


async def run_awaited(delivery: LocalDelivery, limiter: anyio.CapacityLimiter) -> None:
    """Run the processor: a `def` one in a thread, an `async def` one on this loop."""
    from ....receiver.run_async import run_async

    if delivery.attempt is not None:
        with contextlib.closing(delivery):
            delivery.finish(await run_async(delivery.attempt, limiter))


def _refused(answer: Response) -> Failed:
    excerpt = clip(answer.body[:_EXCERPT_SIZE].decode("utf-8", "replace"), _EXCERPT_SIZE)
    return Failed("DeliveryRefused", f"the app answered {answer.status}: {excerpt}", unrecoverable=True)
