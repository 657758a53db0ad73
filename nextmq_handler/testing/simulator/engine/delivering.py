"""The signed path: a job becomes a signed delivery, the real receiver takes it, its signed answer is read."""

from __future__ import annotations

import contextlib
import typing as t

from ....protocol import strict_json
from ....protocol.messages import Headers, Request, Response
from ....protocol.outcomes import Failed, Outcome, clip, parse_outcome
from ....protocol.signing import generate_secret, parse_secret, signature_headers, verify_outcome
from ....protocol.wire import encode_delivery
from ....receiver.attempt import Attempt
from ....receiver.hooks import HookCall
from ....receiver.receiver import Claim, Receiver
from ....receiver.replay import MemoryReplayGuard
from ....telemetry import delivery_headers

if t.TYPE_CHECKING:
    from ....workers.worker import Worker
    from .clock import VirtualClock
    from .faults import Fault
    from .job import SimulatedJob

_EXCERPT_SIZE = 2048

T = t.TypeVar("T")
Steps = t.Generator[Attempt | HookCall, None, T]
"""Yields the attempts that a driver runs, whose outcomes it sets, and the hooks that it calls."""


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

    def deliver(self, job: SimulatedJob, id: str, fault: Fault | None) -> Steps[tuple[Outcome, int | None]]:
        """Deliver a job; return what the server makes of the answer or of the fault, and the answer's status."""
        answer = (yield from self._answer(job, id, fault)) if fault is None or fault.runs else None
        if fault is not None and fault.verdict is not None:
            return fault.verdict, fault.status
        assert answer is not None
        if answer.status != 200:
            return _refused(answer), answer.status
        headers, now = Headers(answer.headers), self._clock.seconds()
        verify_outcome(headers, answer.body, self._secrets, delivery_id=id, now=now)
        return parse_outcome(answer.body), answer.status

    def _answer(self, job: SimulatedJob, id: str, fault: Fault | None) -> Steps[Response]:
        """Sign the delivery and take the receiver's steps; return its answer."""
        receiver, queue = self._receiver, job.queue_name
        assert receiver is not None
        data, timeout = strict_json.compact(job.data), self._timeouts[queue]
        body = encode_delivery(job, data, id=id, queue=queue, timeout=timeout, now=self._clock.ms)
        seal = signature_headers(self._secrets, id, int(self._clock.seconds()), body)
        trace = [(name.encode(), value.encode()) for name, value in delivery_headers(job.opts).items()]
        headers = Headers([(b"content-type", b"application/json"), *seal, *trace])
        plan = receiver.begin(Request("POST", f"/queues/{queue}", headers))
        if isinstance(plan, Response):
            return plan
        with contextlib.closing(receiver.receive(plan, body)) as steps:
            for step in steps:
                match step:
                    case Attempt():
                        if fault is not None:
                            fault.put_into(step)
                        yield step
                    case HookCall():
                        yield step
                    case Claim():
                        step.refusal = receiver.claim(plan)
                    case _:
                        t.assert_never(step)
        return plan.response


def _refused(answer: Response) -> Failed:
    excerpt = clip(answer.body[:_EXCERPT_SIZE].decode("utf-8", "replace"), _EXCERPT_SIZE)
    return Failed("DeliveryRefused", f"the app answered {answer.status}: {excerpt}", unrecoverable=True)
