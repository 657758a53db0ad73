"""Deliver a job to a handler in this process, signed as the server signs it, or tampered with."""

from __future__ import annotations

import contextlib
import json
import time
import typing as t
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from .. import _overrides
from .._deprecated import deprecated
from ..errors import ConfigurationError
from ..protocol.messages import Headers, Response
from ..protocol.signing import Secret, parse_secret, signature_headers, verify_outcome
from ..settings import Settings, load_settings
from .outcomes import JobOutcome, read_outcome
from .sending import HeaderList, Integration, integration_of, send_to_asgi, send_to_lambda, send_to_wsgi

if t.TYPE_CHECKING:
    from .running import AnyJob

_TIMEOUT_MS = 30_000


@dataclass(frozen=True, repr=False)
class Answer:
    """A handler's answer to a delivery."""

    status: int
    error: str | None
    """The stable code of a refusal, such as "unauthorized" (protocol section 2); None if it has none."""
    body: bytes
    _outcome: JobOutcome | None

    @property
    def outcome(self) -> JobOutcome:
        """The outcome, with a valid signature. Raises AssertionError if the delivery was refused."""
        if self._outcome is None:
            raise AssertionError(f"the delivery has no outcome: it was answered with {self._told()}")
        return self._outcome

    def __repr__(self) -> str:
        return f"<Answer {self._told()}>"

    def _told(self) -> str:
        return f"{self.status} {self._outcome or self.error or self.body[:200]!r}"


class Tampering(t.TypedDict, total=False):
    """Where the handler is, and how the delivery differs from a valid one.

    `path` is where the handler is mounted: by default the path of NEXTMQ_APP_URL, or "" for a handler itself.
    `integration` is "asgi", "wsgi" or "lambda": pass it if the target's arguments do not tell (its old name is
    `home`). `sign_with` are the secrets to sign with, by default those of the handler or of the environment.
    `timestamp` is Unix seconds, by default now. `mutate` changes the body after it was signed.
    """

    path: str
    integration: Integration
    home: Integration
    sign_with: str | Sequence[str]
    timestamp: int
    mutate: t.Callable[[bytes], bytes]


def deliver(target: t.Any, job: AnyJob, **how: t.Unpack[Tampering]) -> Answer:
    """Deliver `job` to `target`, to the queue of the job's `queue_name`, and return the answer.

    `target` is an ASGI app, a WSGI app (such as Flask or Django) or a Lambda function: a handler, or an app that
    mounts one. An ASGI app runs on the process's kept loop. The call registers no worker and runs no lifespan.
    What the processor sends to the server through its job goes to the server of NEXTMQ_URL.

    Raises ConfigurationError if a secret or the path is not known, and SignatureError or WireError for a 200 that
    is not an outcome of this delivery.
    """
    delivery = _SignedRequest(target, job, how)
    if delivery.integration != "asgi":
        return delivery.read(delivery.send())
    from ..receiver import kept_loop

    return delivery.read(kept_loop.run(delivery.asend))


async def adeliver(target: t.Any, job: AnyJob, **how: t.Unpack[Tampering]) -> Answer:
    """Do what `deliver` does in a running loop: an ASGI app runs on it, another target in a thread."""
    delivery = _SignedRequest(target, job, how)
    if delivery.integration == "asgi":
        return delivery.read(await delivery.asend())
    import anyio.to_thread

    return delivery.read(await anyio.to_thread.run_sync(delivery.send))


class _SignedRequest:
    """One request, and how to read its answer."""

    def __init__(self, target: t.Any, job: AnyJob, how: Tampering) -> None:
        named = how.get("integration")
        if "home" in how:
            named = _old_keyword(how["home"])  # pyright: ignore[reportDeprecated]
        self.integration: Integration = named or integration_of(target)
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
        send = send_to_wsgi if self.integration == "wsgi" else send_to_lambda
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


@deprecated("deliver(home=…) is now deliver(integration=…)")
def _old_keyword(integration: Integration) -> Integration:
    return integration


def _secrets(sign_with: str | Sequence[str] | None, settings: Settings) -> Sequence[Secret]:
    if sign_with is not None:
        texts = sign_with.split() if isinstance(sign_with, str) else sign_with
        return [parse_secret(text, source="sign_with") for text in texts]
    if not settings.secrets:
        raise ConfigurationError(
            "the delivery cannot be signed without a webhook secret: set NEXTMQ_URL or NEXTMQ_WEBHOOK_SECRETS, or "
            "pass sign_with="
        )
    return settings.secrets


def _mount() -> str:
    try:
        return urlsplit(load_settings().app_url).path
    except ConfigurationError as exc:
        raise ConfigurationError(f"the path of the app's handler is not known: pass path=, or {exc}") from None


def _error_in(body: bytes) -> str | None:
    try:
        code: t.Any = json.loads(body)["error"]
    except (ValueError, LookupError, TypeError):
        return None
    return code if isinstance(code, str) else None
