"""The receiver's steps without I/O, in the order of protocol section 2. Drivers and adapters call them."""

from __future__ import annotations

import time
import typing as t

from ..errors import ConfigurationError
from ..protocol import strict_json
from ..protocol.messages import Headers, Request, Response
from ..protocol.names import is_queue_name
from ..protocol.signing import OUTCOME, TOLERANCE, Seal, Secret, SignatureError, read_seal, signature_headers
from ..protocol.wire import MAX_BODY_SIZE, Delivery, Outcome, WireError, encode_outcome, parse_delivery
from ..settings import Settings, load_settings
from ..workers.worker import Worker, by_queue
from .attempt import Attempt, trace_of

if t.TYPE_CHECKING:
    import logging

    from .replay import ReplayGuard

CLOCK_SKEW = (
    "a delivery was refused for its timestamp: this machine's clock and the server's differ by more than the "
    "tolerance, or an old request was sent again; synchronise the clocks"
)
BODY_READ = (
    "a delivery came with a length but without a body: something, often a middleware that parses forms, reads the "
    "body before the handler does; mount the handler outside of it"
)

BODY_TIMEOUT = 10.0
"""How long, in s, a body may take to arrive by default."""

MAX_MARGIN = 0.5
"""The answer leaves at most this long, in s, before the server stops waiting: clocks and networks differ."""

READ_HEADERS = frozenset(
    (
        "content-type",
        "content-encoding",
        "content-length",
        "x-nextmq-id",
        "x-nextmq-timestamp",
        "x-nextmq-signature",
        "traceparent",
        "tracestate",
        "baggage",
    )
)
"""The headers that are looked at: a home need not translate the others."""

_JSON = (b"content-type", b"application/json")


class HandlerOptions(t.TypedDict, total=False):
    """The options of every home's handler.

    `url`, `app_url` and `webhook_secrets` stand for NEXTMQ_URL, NEXTMQ_APP_URL and NEXTMQ_WEBHOOK_SECRETS.
    `tolerance` and `body_timeout` are s, `max_body_size` bytes; `expose_stack=False` keeps tracebacks out of
    outcomes; `replay_guard` lets each delivery id in once.
    """

    url: str | None
    app_url: str | None
    webhook_secrets: str | t.Sequence[str] | None
    tolerance: float
    max_body_size: int
    body_timeout: float
    expose_stack: bool
    replay_guard: ReplayGuard | None


class ReadPlan:
    """The head of a delivery passed: read at most `max_size` bytes of body, whole within `timeout` s."""

    __slots__ = ("declared_size", "headers", "max_size", "queue", "received_at", "seal", "timeout")

    def __init__(
        self,
        queue: str,
        seal: Seal,
        headers: Headers,
        *,
        declared_size: int | None,
        max_size: int,
        timeout: float,
        received_at: float,
    ) -> None:
        self.queue: str = queue
        self.seal: Seal = seal
        self.headers: Headers = headers
        self.declared_size: int | None = declared_size
        self.max_size: int = max_size
        self.timeout: float = timeout
        self.received_at: float = received_at


class Handler:
    """The receiver for `workers`: `begin`, `verify`, `parse`, run the processor, `finish`.

    `HandlerOptions` says what the options mean.

    Raises ConfigurationError where a setting, an argument or a worker cannot work. Where neither the arguments
    nor the environment hold a secret yet, they are read again at the first use, and until there is one every
    delivery is refused.
    """

    def __init__(
        self,
        workers: t.Iterable[Worker],
        *,
        url: str | None = None,
        app_url: str | None = None,
        webhook_secrets: str | t.Sequence[str] | None = None,
        tolerance: float = TOLERANCE,
        max_body_size: int = MAX_BODY_SIZE,
        body_timeout: float = BODY_TIMEOUT,
        expose_stack: bool = True,
        replay_guard: ReplayGuard | None = None,
        clock: t.Callable[[], float] = time.time,
    ) -> None:
        self._by_queue = by_queue(workers)
        self.workers: tuple[Worker, ...] = tuple(self._by_queue.values())
        self._arguments: dict[str, t.Any] = {
            "url": url,
            "app_url": app_url,
            "webhook_secrets": webhook_secrets,
        }
        self._settings = load_settings(**self._arguments)
        self._tolerance = tolerance
        self._max_body_size = max_body_size
        self._body_timeout = body_timeout
        self._expose_stack = expose_stack
        self._replay_guard = replay_guard
        self._symptoms: set[str] = set()
        self._short: set[str] = set()
        self._fingerprints: dict[str, str] = {}
        self._clock = clock

    @property
    def settings(self) -> Settings:
        """The settings, read anew while they hold no secret. Raises ConfigurationError."""
        if not self._settings.secrets:
            self._settings = load_settings(**self._arguments)
        return self._settings

    def check(self) -> list[str]:
        """What is wrong with this set-up, in words; empty where nothing is."""
        from .checks import check

        return check(self._arguments, self._symptoms)

    def begin(self, request: Request) -> Response | ReadPlan:
        """The steps before the body: the answer where it ends here, else how to read the body."""
        step = self._begin(request)
        if request.method == "HEAD" and isinstance(step, Response):
            step.body = b""
        return step

    def _begin(self, request: Request) -> Response | ReadPlan:
        if request.path == "/health":
            return self._health(request.method)
        queue = request.path.removeprefix("/queues/")
        if queue == request.path or not (queue in self._by_queue or is_queue_name(queue)):
            return _refusal(404, "not_found")
        if request.method != "POST":
            return _refusal(405, "method_not_allowed", (b"allow", b"POST"))
        if not _is_plain_json(request):
            return self._refuse(415, "unsupported_media_type", "content type or encoding", queue)
        try:
            seal = read_seal(request.headers, now=self._clock(), tolerance=self._tolerance)
        except SignatureError as exc:
            if exc.reason in ("timestamp_too_old", "timestamp_too_new"):
                self._symptoms.add(CLOCK_SKEW)
            return self._refuse(401, "unauthorized", exc.reason, queue)
        declared_size = _declared_size(request)
        if declared_size is not None and declared_size > self._max_body_size:
            return self.too_large(queue)
        return ReadPlan(
            queue,
            seal,
            request.headers,
            declared_size=declared_size,
            max_size=self._max_body_size,
            timeout=self._body_timeout,
            received_at=time.monotonic(),
        )

    def too_large(self, queue: str) -> Response:
        """The answer to a body over the limit."""
        return self._refuse(413, "payload_too_large", f"over max_body_size, {self._max_body_size} bytes", queue)

    def too_slow(self, queue: str) -> Response:
        """The answer to a body that was not whole in time."""
        return self._refuse(
            408, "request_timeout", f"not whole within body_timeout, {self._body_timeout} s", queue
        )

    def unreadable(self, plan: ReadPlan, reason: str) -> Response:
        """The answer to a body that the platform did not hand over whole: nothing ran."""
        return self._refuse(401, "unauthorized", reason, plan.queue)

    def verify(self, plan: ReadPlan, body: bytes) -> Response | Secret:
        """The secret that signed the body, or the refusal."""
        if len(body) > plan.max_size:
            return self.too_large(plan.queue)
        try:
            secrets = self.settings.secrets
        except ConfigurationError as exc:
            return self._refuse(401, "unauthorized", str(exc), plan.queue)
        if not secrets:
            return self._refuse(401, "unauthorized", "NEXTMQ_URL is not set, so there is no secret", plan.queue)
        try:
            return plan.seal.verify(body, secrets)
        except SignatureError as exc:
            eaten = plan.declared_size and not body
            if eaten:
                self._symptoms.add(BODY_READ)
            reason = "body_missing: something read it before this handler did" if eaten else exc.reason
            return self._refuse(401, "unauthorized", reason, plan.queue)

    @property
    def has_replay_guard(self) -> bool:
        """Whether `claim` is to be asked: it may block."""
        return self._replay_guard is not None

    def claim(self, plan: ReadPlan) -> Response | None:
        """The refusal of a verified delivery that came before (section 2).

        Where the guard itself fails it is a 503 at once, which the server takes as "later", no attempt burnt.
        """
        assert self._replay_guard is not None
        try:
            is_new = self._replay_guard.claim(plan.seal.id, 2 * self._tolerance)
        except Exception as exc:  # noqa: BLE001 - whatever its store raises
            reason = f"the replay guard failed: {type(exc).__name__}"
            return self._refuse(503, "replay_guard_unavailable", reason, plan.queue)
        return None if is_new else self._refuse(409, "duplicate_delivery", "its id was seen before", plan.queue)

    def parse(self, plan: ReadPlan, body: bytes, *, time_left: float | None = None) -> Response | Attempt:
        """The attempt that a verified body asks for, or the refusal.

        `time_left` is how long, in s, the platform lets this request run, where it says so.
        """
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
        """Whether the server holds another registration than this app would make (section 4)."""
        name = attempt.worker.name
        if name not in self._fingerprints:
            from ..registration.calls import fingerprint

            try:
                self._fingerprints[name] = fingerprint(attempt.worker, self.settings)
            except ConfigurationError:
                return False  # no NEXTMQ_APP_URL: there is nothing to register
        return attempt.delivery.fingerprint != self._fingerprints[name]

    def finish(self, delivery: Delivery, outcome: Outcome, secret: Secret) -> Response:
        """The answer that carries the outcome, signed with the secret that verified the request (section 3)."""
        body = encode_outcome(outcome, max_size=delivery.max_outcome_size)
        seal = signature_headers([secret], delivery.id, int(self._clock()), body, context=OUTCOME)
        return Response(200, [_JSON, *seal], body)

    def _note_short_platform(self, worker: Worker, time_left: float) -> None:
        from .checks import timeout_problem

        problem = timeout_problem(worker, time_left)
        if worker.name not in self._short:
            self._short.add(worker.name)
            self._symptoms.add(problem)
            self._log().warning("%s", problem)

    def _health(self, method: str) -> Response:
        if method not in ("GET", "HEAD"):
            return _refusal(405, "method_not_allowed", (b"allow", b"GET, HEAD"))
        return Response(200, [_JSON], strict_json.dumps({"status": "ok"}))

    def _refuse(self, status: int, code: str, reason: str, queue: str) -> Response:
        # The queue name passed its grammar; nothing else of the request is logged.
        self._log().warning("refused a delivery for queue %s with %d %s: %s", queue, status, code, reason)
        return _refusal(status, code)

    @staticmethod
    def _log() -> logging.Logger:
        import logging  # slow to import, and needed where something is wrong only

        return logging.getLogger("nextmq_handler")


def _refusal(status: int, code: str, *headers: tuple[bytes, bytes]) -> Response:
    return Response(status, [_JSON, *headers], strict_json.dumps({"error": code}))


def _is_plain_json(request: Request) -> bool:
    types = request.headers.all(b"content-type")
    encodings = request.headers.all(b"content-encoding")
    if encodings and any(e.strip().lower() != b"identity" for e in encodings):
        return False
    return len(types) == 1 and types[0].partition(b";")[0].strip().lower() == b"application/json"


def _declared_size(request: Request) -> int | None:
    values = request.headers.all(b"content-length")
    if len(values) != 1 or not values[0].isdigit():
        return None  # counted as it is read
    return int(values[0][:20])
