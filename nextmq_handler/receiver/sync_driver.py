"""The sync driver: carries out the receiver's steps without an event loop (WSGI, Flask, Django, Lambda)."""

from __future__ import annotations

import typing as t

from ..protocol.messages import Request, Response
from ..protocol.outcomes import Outcome
from .attempt import Attempt, run_sync
from .hooks import HookCall
from .receiver import Claim, ReadPlan, Receiver

if t.TYPE_CHECKING:
    from ..registration.registrar import Registrar

Read = t.Callable[[ReadPlan], bytes | Response]
"""Reads the body as planned. Returns a refusal if that fails."""

Run = t.Callable[[Attempt], Outcome]
"""Runs an attempt's processor. A framework puts its own around it: transactions, and what threads hold."""


class SyncDriver:
    """Receive deliveries in the calling thread. Async processors run on the process's one kept loop.

    `settle` is how long, in s, an answer waits for a registration that it started: a platform may freeze the
    process afterwards. `run` runs the processors.
    """

    def __init__(self, receiver: Receiver, *, settle: float = 0.0, run: Run | None = None) -> None:
        self.receiver = receiver
        self._run = run or run_attempt
        self._settle = settle
        self._registrar: Registrar | None = None

    @property
    def registrar(self) -> Registrar:
        """The registrar of the workers, made at its first use: it brings the HTTP client along."""
        if self._registrar is None:
            from ..registration.registrar import Registrar

            receiver = self.receiver
            self._registrar = Registrar(
                receiver.workers,
                lambda: receiver.settings,
                check=receiver.check,
                problems=receiver.registration_problems,
            )
        return self._registrar

    def respond(self, request: Request, read: Read, *, time_left: float | None = None) -> Response:
        """Answer a request. `time_left` is how long, in s, the platform lets it run."""
        plan = self.receiver.begin(request)
        if isinstance(plan, Response):
            if plan.status == 200:  # it was /health
                self.registrar.reassert()
                self.registrar.wait(self._settle)
            return plan
        body = read(plan)
        return body if isinstance(body, Response) else self._deliver(plan, body, time_left)

    def _deliver(self, plan: ReadPlan, body: bytes, time_left: float | None) -> Response:
        receiver = self.receiver
        is_outdated = False
        for step in receiver.receive(plan, body, time_left=time_left):
            match step:
                case Attempt():
                    is_outdated = receiver.is_outdated(step)
                    if is_outdated:
                        self.registrar.reassert()
                    step.outcome = self._run(step)
                case Claim():
                    step.refusal = receiver.claim(plan)
                case HookCall():
                    step.call()
                case _:
                    t.assert_never(step)
        if is_outdated:
            self.registrar.wait(self._settle)
        return plan.response


def run_attempt(attempt: Attempt) -> Outcome:
    """Run the attempt's processor: a `def` one in this thread, an `async def` one on the kept loop."""
    if attempt.processor is None or not attempt.processor.is_async:
        return run_sync(attempt)
    from . import kept_loop
    from .run_async import run_coroutine

    return kept_loop.run(run_coroutine, attempt)
