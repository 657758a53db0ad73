"""The receiver without I/O: the steps of protocol section 2, in order. Drivers carry them out."""

from __future__ import annotations

import time
import typing as t

from ..errors import ConfigurationError
from ..protocol.arguments import is_queue_name, timeout_seconds
from ..protocol.clocks import wall_clock
from ..protocol.messages import Headers, Request, Response
from ..protocol.outcomes import Completed, Failed, sendable
from ..protocol.signing import OUTCOME, TOLERANCE, Seal, Secret, SignatureError, read_seal, signature_headers
from ..protocol.wire import MAX_BODY_SIZE, WireError, parse_delivery
from ..settings import Settings, load_settings
from ..workers.worker import Worker, by_queue
from .answers import JSON, health, refusal
from .attempt import Attempt, trace_of
from .fingerprints import Fingerprints
from .hooks import HookCall, hook_calls
from .sentry import sentry_scope

if t.TYPE_CHECKING:
    import logging
    from datetime import timedelta

    from .replay import ReplayGuard

BODY_TIMEOUT = 10.0
"""How long, in s, a body may take to arrive by default."""

MAX_MARGIN = 0.5
"""The answer leaves at most this long, in s, before the server stops waiting: clocks and networks differ."""


class ReadPlan:
    """The head of a delivery passed: read at most `max_size` bytes of body, whole within `timeout` s.

    `response` is the answer once the receiver's steps have ended.
    """

    response: Response

    def __init__(
        self, queue: str, seal: Seal, headers: Headers, declared_size: int | None, max_size: int, timeout: float
    ) -> None:
        self.queue: str = queue
        self.seal: Seal = seal
        self.headers: Headers = headers
        self.declared_size: int | None = declared_size
        self.max_size: int = max_size
        self.timeout: float = timeout
        self.received_at: float = time.monotonic()


class Claim:
    """A step: call `Receiver.claim`, which may block, and set `refusal` to the result."""

    refusal: Response | None


Steps = t.Generator[Claim | Attempt | HookCall, None, None]
"""What a driver does: it makes the claim and sets its `refusal`; it runs the attempt and sets its `outcome`; it
calls the hook."""


class Receiver:
    """Take the deliveries for `workers`. `begin` checks a request's head; `receive` does all that follows.

    `HandlerOptions` says what the options mean. `clock` returns Unix seconds.
    Raises ConfigurationError if a setting, an argument or a worker cannot work. As long as neither the arguments
    nor the environment have a secret, the receiver refuses every delivery, and reads them again at the next one.
    """

    def __init__(
        self,
        workers: t.Iterable[Worker],
        *,
        url: str | None = None,
        app_url: str | None = None,
        webhook_secrets: str | t.Sequence[str] | None = None,
        release: str | None = None,
        tolerance: float | timedelta = TOLERANCE,
        max_body_size: int = MAX_BODY_SIZE,
        body_timeout: float | timedelta = BODY_TIMEOUT,
        expose_stack: bool = True,
        replay_guard: ReplayGuard | None = None,
        clock: t.Callable[[], float] = wall_clock,
    ) -> None:
        self._by_queue = by_queue(workers)
        self.workers: tuple[Worker, ...] = tuple(self._by_queue.values())
        self._arguments: dict[str, t.Any] = {"url": url, "app_url": app_url, "release": release}
        self._arguments["webhook_secrets"] = webhook_secrets
        self._settings = load_settings(**self._arguments)
        self._settings.check_secrets()
        self._tolerance = timeout_seconds("tolerance", tolerance)
        self._max_body_size = max_body_size
        self._body_timeout = timeout_seconds("body_timeout", body_timeout)
        self._expose_stack = expose_stack
        self._replay_guard = replay_guard
        self._symptoms: set[str] = set()
        self._short: set[str] = set()
        self.registration_problems: dict[str, str] = {}
        """Why a queue's worker is not registered, as the registrar tells it."""
        self._fingerprints = Fingerprints(lambda: self.settings)
        self._clock = clock

    @property
    def settings(self) -> Settings:
        """The settings, read anew while they hold no secret. Raises ConfigurationError."""
        if not self._settings.secrets:
            self._settings = load_settings(**self._arguments)
        return self._settings

    def check(self) -> list[str]:
        """Return what is wrong with this set-up: one sentence for each problem, with its fix."""
        from .checks import check

        return check(self._arguments, {*self._symptoms, *self.registration_problems.values()})

    def begin(self, request: Request) -> Response | ReadPlan:
        """Check a request's head. Return the answer if the request ends here, else how to read the body."""
        step = self._begin(request)
        if request.method == "HEAD" and isinstance(step, Response):
            step.body = b""
        return step

    def _begin(self, request: Request) -> Response | ReadPlan:
        if request.path == "/health":
            return health(request.method)
        queue = request.path.removeprefix("/queues/")
        if queue == request.path or not (queue in self._by_queue or is_queue_name(queue)):
            return refusal(404, "not_found")
        if request.method != "POST":
            return refusal(405, "method_not_allowed", (b"allow", b"POST"))
        if not request.is_plain_json():
            return self._refuse(415, "unsupported_media_type", "content type or encoding", queue)
        try:
            seal = read_seal(request.headers, now=self._clock(), tolerance=self._tolerance)
        except SignatureError as exc:
            if exc.reason in ("timestamp_too_old", "timestamp_too_new"):
                from .checks import CLOCK_SKEW

                self._symptoms.add(CLOCK_SKEW)
            return self._refuse(401, "unauthorized", exc.reason, queue)
        declared_size = request.declared_size()
        if declared_size is not None and declared_size > self._max_body_size:
            return self.too_large(queue)
        limits = self._max_body_size, self._body_timeout
        return ReadPlan(queue, seal, request.headers, declared_size, *limits)

    def too_large(self, queue: str) -> Response:
        """Refuse a body over the limit."""
        reason = f"over max_body_size, {self._max_body_size} bytes"
        return self._refuse(413, "payload_too_large", reason, queue)

    def too_slow(self, plan: ReadPlan, size: int) -> Response:
        """Refuse a body of which `size` bytes came in time, and not all of them."""
        reason = f"not whole within body_timeout, {self._body_timeout:g} s"
        if not size:
            self._note_body_read()
            reason += "; not one byte came: the caller is slow, or something read the body before this handler did"
        return self._refuse(408, "request_timeout", reason, plan.queue)

    def body_missing(self, plan: ReadPlan, reason: str) -> Response:
        """Refuse a body that did not reach the handler whole: its caller left, or something has read it."""
        self._note_body_read()
        cause = "something read it before this handler did, or the caller left"
        return self._refuse(408, "body_missing", f"{reason}: {cause}", plan.queue)

    def unreadable(self, plan: ReadPlan, reason: str) -> Response:
        """Refuse a body that the platform did not hand over whole."""
        return self._refuse(401, "unauthorized", reason, plan.queue)

    def receive(self, plan: ReadPlan, body: bytes, *, time_left: float | None = None) -> Steps:
        """Verify the body, claim its id, parse it, run the processor and sign the outcome: `plan.response`.

        Yields what needs a driver: a thread or a loop. `time_left` is how long, in s, the platform lets this
        request run, if it says so.
        """
        secret = self.verify(plan, body)
        if isinstance(secret, Response):
            plan.response = secret
            return
        if self._replay_guard is not None:
            claim = Claim()
            yield claim
            if claim.refusal is not None:
                plan.response = claim.refusal
                return
        attempt = self.parse(plan, body, time_left=time_left)
        if isinstance(attempt, Response):
            plan.response = attempt
            return
        with sentry_scope(attempt.delivery), attempt.trace:
            yield from hook_calls("on_active", attempt)
            yield attempt
            fingerprint = self._fingerprints.of_another(attempt)
            attempt.outcome, answer = sendable(
                attempt.outcome, max_size=attempt.delivery.max_outcome_size, fingerprint=fingerprint
            )
            attempt.trace.ended(attempt.outcome)
            if isinstance(attempt.outcome, Failed):
                from .failures import report  # slow to import, and needed on failure only

                yield from hook_calls("on_failed", attempt, report(attempt, attempt.outcome))
            elif isinstance(attempt.outcome, Completed):
                yield from hook_calls("on_completed", attempt, attempt.outcome.return_value)
        plan.response = self.sign(attempt, answer, secret)

    def verify(self, plan: ReadPlan, body: bytes) -> Response | Secret:
        """Return the secret that signed the body, or the refusal."""
        if len(body) > plan.max_size:
            return self.too_large(plan.queue)
        try:
            secrets = self.settings.secrets
        except ConfigurationError as exc:
            return self._refuse(401, "unauthorized", str(exc), plan.queue)
        if not secrets:
            return self._refuse(
                401, "unauthorized", "NEXTMQ_URL is not set, so the handler has no secret", plan.queue
            )
        try:
            return plan.seal.verify(body, secrets)
        except SignatureError as exc:
            if len(body) < (plan.declared_size or 0):
                return self.body_missing(plan, f"{len(body)} of its {plan.declared_size} bytes were left")
            return self._refuse(401, "unauthorized", exc.reason, plan.queue)

    def claim(self, plan: ReadPlan) -> Response | None:
        """Return the refusal of a verified delivery that came before, None if it is new (section 2). May block.

        If the guard itself fails the answer is 503: the server retries later, and no attempt is used.
        """
        from .replay import refusal_of

        assert self._replay_guard is not None
        refusal = refusal_of(self._replay_guard, plan.seal, tolerance=self._tolerance, clock=self._clock)
        return None if refusal is None else self._refuse(*refusal, plan.queue)

    def parse(self, plan: ReadPlan, body: bytes, *, time_left: float | None = None) -> Response | Attempt:
        """Return the attempt that a verified body asks for, or the refusal."""
        try:
            delivery = parse_delivery(body, plan.seal.id)
        except WireError as exc:
            return self._refuse(400, "invalid_body", str(exc), plan.queue)
        worker = self._by_queue.get(plan.queue)
        if worker is None or delivery.queue != plan.queue:
            reason = "no worker is mounted for it" if worker is None else "the body names another queue"
            return self._refuse(404, "not_found", reason, plan.queue)
        timeout = delivery.timeout / 1000
        deadline = plan.received_at + timeout - min(MAX_MARGIN, timeout / 10)
        if time_left is not None:
            deadline = min(deadline, time.monotonic() + time_left)
            if time_left * 1000 < worker.options["timeout"]:
                self._note_short_platform(worker, time_left)
        return Attempt(
            worker,
            delivery,
            self.settings,
            deadline=deadline,
            expose_stack=self._expose_stack,
            trace=trace_of(delivery, plan.headers),
        )

    def is_outdated(self, attempt: Attempt) -> bool:
        """Return whether the server holds another registration than this app would make (section 4)."""
        return not attempt.delivery.is_replay and bool(self._fingerprints.of_another(attempt))

    def sign(self, attempt: Attempt, body: bytes, secret: Secret) -> Response:
        """Return the answer with the outcome, signed with the secret that verified the request (section 3)."""
        seal = signature_headers([secret], attempt.delivery.id, int(self._clock()), body, context=OUTCOME)
        return Response(200, [JSON, *seal], body)

    def _note_body_read(self) -> None:
        from .checks import BODY_READ

        self._symptoms.add(BODY_READ)

    def _note_short_platform(self, worker: Worker, time_left: float) -> None:
        from .checks import timeout_problem

        if worker.name not in self._short:
            self._short.add(worker.name)
            problem = timeout_problem(worker, time_left)
            self._symptoms.add(problem)
            _log().warning("%s", problem)

    def _refuse(self, status: int, code: str, reason: str, queue: str) -> Response:
        # The queue name passed its grammar; nothing else of the request is logged.
        _log().warning("refused a delivery for queue %s with %d %s: %s", queue, status, code, reason)
        return refusal(status, code)


def _log() -> logging.Logger:
    import logging  # slow to import, and needed only if something is wrong

    return logging.getLogger("nextmq_handler")
