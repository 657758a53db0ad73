"""Deliver a job to a handler in this process, signed as the server signs; or not quite so."""

from __future__ import annotations

import contextlib
import json
import time
import typing as t
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from .. import _overrides
from ..errors import ConfigurationError
from ..protocol.messages import Headers, Response
from ..protocol.signing import Secret, parse_secret, signature_headers, verify_outcome
from ..settings import Settings, load_settings
from .outcomes import JobOutcome, read_outcome
from .sending import HeaderList, Home, home_of, send_to_asgi, send_to_lambda, send_to_wsgi

if t.TYPE_CHECKING:
    from .running import AnyJob

_TIMEOUT_MS = 30_000


@dataclass(frozen=True, repr=False)
class Answer:
    """What a handler answered to a delivery."""

    status: int
    error: str | None
    """The stable code of a refusal, such as "unauthorized" (protocol section 2); None where there is none."""
    body: bytes
    _outcome: JobOutcome | None

    @property
    def outcome(self) -> JobOutcome:
        """The outcome, whose signature holds. Raises AssertionError where the delivery was refused."""
        if self._outcome is None:
            raise AssertionError(f"the delivery has no outcome: it was answered with {self._told()}")
        return self._outcome

    def __repr__(self) -> str:
        return f"<Answer {self._told()}>"

    def _told(self) -> str:
        return f"{self.status} {self._outcome or self.error or self.body[:200]!r}"


class Tampering(t.TypedDict, total=False):
    """Where the handler is, and how the delivery departs from a right one.

    `path` is where the handler is mounted, without it that of NEXTMQ_APP_URL, or nothing for a handler itself.
    `home` says what the target is, where its arguments do not tell. `sign_with` are the secrets to sign with,
    without it those of the handler or of the environment; `timestamp` is Unix seconds, without it now; `mutate`
    changes the body after it was signed.
    """

    path: str
    home: Home
    sign_with: str | Sequence[str]
    timestamp: int
    mutate: t.Callable[[bytes], bytes]


def deliver(target: t.Any, job: AnyJob, **how: t.Unpack[Tampering]) -> Answer:
    """What `target` answers to a delivery of `job`, to the queue that is the job's `queue_name`.

    `target` is an ASGI app, a WSGI app (Flask and Django are ones) or a Lambda function: a handler, or what it is
    mounted in. An ASGI app runs on the process's kept loop. No worker is registered by it, and no lifespan is run;
    what the processor tells the server through its job goes to that of NEXTMQ_URL.

    Raises ConfigurationError where a secret or the path is not known, and SignatureError or WireError for a 200
    that is not an outcome of this delivery.
    """
    delivery = _Delivery(target, job, how)
    if delivery.home != "asgi":
        return delivery.read(delivery.send())
    from ..receiver import kept_loop

    return delivery.read(kept_loop.run(delivery.asend))


async def adeliver(target: t.Any, job: AnyJob, **how: t.Unpack[Tampering]) -> Answer:
    """`deliver` in a running loop: an ASGI app runs on it, another target in a thread."""
    delivery = _Delivery(target, job, how)
    if delivery.home == "asgi":
        return delivery.read(await delivery.asend())
    import anyio.to_thread

    return delivery.read(await anyio.to_thread.run_sync(delivery.send))


class _Delivery:
    """One request, and how its answer is read."""

    def __init__(self, target: t.Any, job: AnyJob, how: Tampering) -> None:
        self.home: Home = how["home"] if "home" in how else home_of(target)
        self._target = target
        self._id = job.delivery_id
        settings = getattr(target, "settings", None)
        own = settings if isinstance(settings, Settings) else None
        self._secrets = _secrets(how.get("sign_with"), own or load_settings())
        mount = how["path"] if "path" in how else "" if own else _mount()
        self._path = f"{mount.rstrip('/')}/queues/{job.queue_name}"
        body = job.to_wire(job.queue_name, timeout=_TIMEOUT_MS)
        seal = signature_headers(self._secrets, self._id, how.get("timestamp", int(time.time())), body)
        self._body = how["mutate"](body) if "mutate" in how else body
        length = (b"content-length", b"%d" % len(self._body))
        self._headers: HeaderList = [(b"content-type", b"application/json"), length, *seal]

    def send(self) -> Response:
        send = send_to_wsgi if self.home == "wsgi" else send_to_lambda
        with _no_registration():
            return send(self._target, self._path, self._headers, self._body)

    async def asend(self) -> Response:
        with _no_registration():
            return await send_to_asgi(self._target, self._path, self._headers, self._body)

    def read(self, response: Response) -> Answer:
        if response.status != 200:
            return Answer(response.status, _error_in(response.body), response.body, None)
        headers = Headers(response.headers)
        verify_outcome(headers, response.body, self._secrets, delivery_id=self._id, now=time.time())
        return Answer(200, None, response.body, read_outcome(response.body))


@contextlib.contextmanager
def _no_registration() -> t.Generator[None]:
    token = _overrides.registration_paused.set(True)
    try:
        yield
    finally:
        _overrides.registration_paused.reset(token)


def _secrets(sign_with: str | Sequence[str] | None, settings: Settings) -> Sequence[Secret]:
    if sign_with is not None:
        texts = sign_with.split() if isinstance(sign_with, str) else sign_with
        return [parse_secret(text, source="sign_with") for text in texts]
    if not settings.secrets:
        raise ConfigurationError(
            "no webhook secret is known to sign the delivery with: set NEXTMQ_URL or NEXTMQ_WEBHOOK_SECRETS, or "
            "pass sign_with="
        )
    return settings.secrets


def _mount() -> str:
    try:
        return urlsplit(load_settings().app_url).path
    except ConfigurationError as exc:
        raise ConfigurationError(f"where the app has its handler is not known: pass path=, or {exc}") from None


def _error_in(body: bytes) -> str | None:
    try:
        content: t.Any = json.loads(body)
    except ValueError:
        return None
    if not isinstance(content, dict):
        return None
    code = t.cast("dict[str, t.Any]", content).get("error")
    return code if isinstance(code, str) else None
