"""One call to the server, without I/O: what to send, how an attempt may end, whether to try again."""

from __future__ import annotations

import re
import typing as t
from urllib.parse import quote

from ... import _overrides
from ...errors import ConfigurationError, NextMQConnectionError, NextMQTimeoutError
from ...protocol.messages import PROJECT_HEADER
from ...protocol.retry_after import parse_retry_after
from ..remote import Caller
from .answer import R, Reader, ServerAnswer, UnreadableAnswer
from .content import encode
from .pools import Query, url_of
from .retry import RETRIED_STATUSES, is_transient, may_have_been_sent, pause_of

DEFAULT_TIMEOUT = 10.0
"""How long, in s, a call may take with all its attempts by default."""

ATTEMPT_TIMEOUT = 10.0
"""How long, in s, one attempt may take: to connect, to send, to be answered."""

_KEY = re.compile(r"[!-~]{1,128}")


class Options(t.TypedDict, total=False):
    """How to make a call, beside its method and path.

    `content` is sent as JSON, `body` is JSON already; `headers` go beside those of every call. `wait` is how long
    (s) the server may keep the call open; `timeout` (s) takes the place of the caller's. `is_repeatable` says that
    doing the call twice is doing it once. That is always so for GET, PUT, DELETE and with an `idempotency_key`.
    """

    content: object
    body: bytes
    query: Query | None
    headers: t.Mapping[str, str]
    idempotency_key: str | None
    is_repeatable: bool
    timeout: float | None
    wait: float


class Call:
    """A call and its attempts. Raises ConfigurationError for content that cannot be sent."""

    def __init__(self, caller: Caller, method: str, path: t.Sequence[str], **options: t.Unpack[Options]) -> None:
        connection = caller.connection
        self.is_local = connection.is_local
        self.method = method
        self.url = url_of(connection.base_url, path, options.get("query"))
        self._origin = f"{method} {self.url}"
        self.headers = {
            **options.get("headers", {}),
            "accept-encoding": "identity",
            "authorization": f"Bearer {connection.api_key}",
            PROJECT_HEADER: quote(connection.project, safe=""),
        }
        self.body = encode(options["content"]) if "content" in options else options.get("body")
        if self.body is not None:
            self.headers["content-type"] = "application/json"
        if caller.delivery_id is not None:
            self.headers["x-nextmq-delivery"] = caller.delivery_id
        self._key = options.get("idempotency_key")
        if self._key is not None:
            self.headers["idempotency-key"] = self._key
        self._is_repeatable = method != "POST" or self._key is not None or options.get("is_repeatable", False)
        self._retries = caller.retries
        wait = options.get("wait", 0.0)
        self._deadline = _overrides.monotonic() + (options.get("timeout") or caller.timeout) + wait
        self._attempt_timeout = ATTEMPT_TIMEOUT + wait
        self._attempts = 0
        self._attempt_deadline = 0.0
        self._may_have_run = False

    def begin_attempt(self) -> float:
        """Return how long, in s, each step of the attempt that begins now may take."""
        now = _overrides.monotonic()
        timeout = max(0.001, min(self._attempt_timeout, self._deadline - now))
        self._attempts += 1
        self._attempt_deadline = now + timeout
        return timeout

    @property
    def time_left(self) -> float:
        """How long, in s, the attempt may still take."""
        return self._attempt_deadline - _overrides.monotonic()

    def check_time(self) -> None:
        """Stop an attempt whose answer arrives too slowly. Raises httpx.ReadTimeout."""
        if self.time_left < 0:
            from .bounds import too_slow

            raise too_slow()

    def pause_after_failure(self, exc: Exception) -> float:
        """Return how long, in s, to wait before the next attempt.

        Raises NextMQTimeoutError or NextMQConnectionError if this attempt was the last.
        """
        import httpx

        self._may_have_run |= may_have_been_sent(exc)
        pause = self._pause(None) if is_transient(exc) else None
        if pause is not None:
            return pause
        if isinstance(exc, httpx.TimeoutException):
            text = f"no answer in time ({type(exc).__name__}){self._effort}{self._known}"
            raise NextMQTimeoutError(f"{self._origin}: {text}", idempotency_key=self._key) from exc
        text = f"{str(exc) or type(exc).__name__}{self._effort}{self._known}; is the server running?"
        raise NextMQConnectionError(f"{self._origin}: {text}", idempotency_key=self._key) from exc

    def pause_after(self, answer: ServerAnswer) -> float | None:
        """Return how long, in s, to wait before the next attempt; None if the answer is final."""
        self._may_have_run |= answer.status < 400 or (answer.status >= 500 and not answer.is_refusal)
        if answer.status not in RETRIED_STATUSES:
            return None
        return self._pause(parse_retry_after(answer.headers.get("retry-after"), _overrides.wall_clock()))

    def result(self, answer: ServerAnswer, reader: Reader[R]) -> R:
        """Return what `reader` makes of the answer's content. Raises the error that the answer means."""
        if not 200 <= answer.status < 300:
            # The message of a plain refusal says what it means.
            known = self._known if self._may_have_run or answer.is_refusal else ""
            raise answer.error(self._origin, self._effort + known, self._key)
        try:
            return answer.read(reader)
        except UnreadableAnswer as exc:
            raise answer.unreadable(self._origin, f"{exc}{self._known}", self._key) from None

    def _pause(self, retry_after: float | None) -> float | None:
        if not self._retries or (self._may_have_run and not self._is_repeatable):
            return None
        pause = pause_of(self._attempts, retry_after)
        return pause if pause < self._deadline - _overrides.monotonic() else None

    @property
    def _effort(self) -> str:
        return f" after {self._attempts} attempts" if self._attempts > 1 else ""

    @property
    def _known(self) -> str:
        """What the caller may conclude after a failure of a call that must not simply be repeated."""
        if self._key is None:
            return "; whether it was done is not known" if self._may_have_run and not self._is_repeatable else ""
        if not self._may_have_run:
            return "; nothing was added"
        return (
            f"; whether anything was added is not known: calling again with idempotency_key={self._key!r} within "
            "24 h cannot add it twice"
        )


def key_of(given: object) -> str:
    """Return the idempotency key that is `given`, or else a new one. Raises ConfigurationError."""
    key = _overrides.new_key() if given is None else given
    if not isinstance(key, str) or not _KEY.fullmatch(key):
        raise ConfigurationError("idempotency_key takes 1 to 128 printable ASCII characters, and no spaces")
    return key
