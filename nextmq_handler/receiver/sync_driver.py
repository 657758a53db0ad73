"""The blocking driver: the receiver's steps for homes without an event loop (WSGI, Flask, Django, Lambda)."""

from __future__ import annotations

import typing as t

from ..protocol.messages import Request, Response
from ..protocol.wire import Outcome
from .attempt import Attempt, run
from .receiver import Handler, ReadPlan

if t.TYPE_CHECKING:
    from ..registration.registrar import Registrar

Read = t.Callable[[ReadPlan], bytes | Response]
"""Reads the body as planned; a refusal where that fails."""


class BlockingDriver:
    """Receives deliveries in the calling thread. Async processors run on the process's one kept loop.

    `settle` is how long, in s, an answer waits for a registration that it started, for homes that freeze
    afterwards.
    """

    def __init__(self, handler: Handler, *, settle: float = 0.0) -> None:
        self.handler = handler
        self._settle = settle
        self._registrar: Registrar | None = None

    @property
    def registrar(self) -> Registrar:
        """What registers the workers, made when it is first needed: it brings the HTTP client along."""
        if self._registrar is None:
            from ..registration.registrar import Registrar

            handler = self.handler
            self._registrar = Registrar(handler.workers, lambda: handler.settings, check=handler.check)
        return self._registrar

    def respond(self, request: Request, read: Read, *, time_left: float | None = None) -> Response:
        """The answer to a request. `time_left` is how long, in s, the platform lets it run."""
        step = self.handler.begin(request)
        if isinstance(step, Response):
            if step.status == 200:  # it was /health
                self.registrar.reassert()
                self.registrar.wait(self._settle)
            return step
        body = read(step)
        return body if isinstance(body, Response) else self._deliver(step, body, time_left)

    def _deliver(self, plan: ReadPlan, body: bytes, time_left: float | None) -> Response:
        handler = self.handler
        secret = handler.verify(plan, body)
        if isinstance(secret, Response):
            return secret
        if handler.has_replay_guard:
            refusal = handler.claim(plan)
            if refusal is not None:
                return refusal
        attempt = handler.parse(plan, body, time_left=time_left)
        if isinstance(attempt, Response):
            return attempt
        is_outdated = handler.is_outdated(attempt)
        if is_outdated:
            self.registrar.reassert()
        with attempt.trace:
            outcome = run_attempt(attempt)
            attempt.trace.ended(outcome)
        if is_outdated:
            self.registrar.wait(self._settle)
        return handler.finish(attempt.delivery, outcome, secret)


def run_attempt(attempt: Attempt) -> Outcome:
    """The outcome of the attempt: a `def` processor in this thread, an `async def` one on the kept loop."""
    if attempt.processor is None or not attempt.processor.is_async:
        return run(attempt)
    from . import kept_loop
    from .run_async import run_coroutine

    return kept_loop.run(run_coroutine, attempt)
