"""One call to the server, without I/O: what is sent, how an attempt may end, whether there is another one."""

from __future__ import annotations

import re
import typing as t

from ... import _overrides
from ...errors import ConfigurationError, NextMQConnectionError, NextMQTimeoutError
from ...settings import Connection
from .answer import Answer, R, UnreadableAnswer
from .content import encode
from .pools import Query, url_of
from .retry import RETRIED_STATUSES, Budget, is_transient, may_have_been_sent, parse_retry_after, pause_of

DEFAULT_TIMEOUT = 30.0
"""How long, in s, a call may take with all its attempts by default."""

ATTEMPT_TIMEOUT = 10.0
"""How long, in s, one attempt may take: to connect, to send, to be answered."""

_KEY = re.compile(r"[!-~]{1,128}")


class Options(t.TypedDict, total=False):
    """How a call is made, beside its method and path.

    `content` is sent as JSON, `body` is JSON already; `headers` go beside those that every call has. `wait` is how
    long (s) the server may keep the call open. `is_repeatable`: doing it twice is doing it once, which holds for
    GET, PUT, DELETE and for calls with an `idempotency_key` anyway.
    """

    content: object
    body: bytes
    query: Query | None
    headers: t.Mapping[str, str]
    delivery_id: str | None
    idempotency_key: str | None
    is_repeatable: bool
    wait: float


class Call:
    """A call and its attempts. Raises ConfigurationError for what cannot be sent.

    `timeout` is s for all attempts together; without `retries` there is one.
    """

    def __init__(
        self,
        connection: Connection,
        method: str,
        path: t.Sequence[str],
        *,
        timeout: float,
        retries: bool,
        **options: t.Unpack[Options],
    ) -> None:
        self.method = method
        self.url = url_of(connection.base_url, path, options.get("query"))
        self.headers = {**options.get("headers", {}), "authorization": f"Bearer {connection.api_key}"}
        self.body = encode(options["content"]) if "content" in options else options.get("body")
        if self.body is not None:
            self.headers["content-type"] = "application/json"
        if (delivery_id := options.get("delivery_id")) is not None:
            self.headers["x-nextmq-delivery"] = delivery_id
        self._key = options.get("idempotency_key")
        if self._key is not None:
            self.headers["idempotency-key"] = self._key
        self._is_repeatable = method != "POST" or self._key is not None or options.get("is_repeatable", False)
        self._retries = retries
        self._budget = Budget(_overrides.monotonic() + timeout, ATTEMPT_TIMEOUT + options.get("wait", 0.0))
        self._attempts = 0
        self._attempt_deadline = 0.0
        self._may_have_run = False

    def begin_attempt(self) -> float:
        """How long, in s, each step of the attempt that begins now may take."""
        timeout = max(0.001, min(self._budget.attempt, self._budget.left()))
        self._attempts += 1
        self._attempt_deadline = _overrides.monotonic() + timeout
        return timeout

    def check_time(self) -> None:
        """Raises httpx.ReadTimeout where an answer that comes in drops takes too long."""
        if _overrides.monotonic() > self._attempt_deadline:
            import httpx

            raise httpx.ReadTimeout("the answer was not whole in time")

    def answer(self, status: int, headers: t.Mapping[str, str], content: bytes) -> Answer:
        """What came of the attempt."""
        return Answer(self._origin, status, headers, content)

    def pause_after_failure(self, exc: Exception) -> float:
        """How long, in s, to wait before another attempt.

        Raises NextMQTimeoutError or NextMQConnectionError where there is to be none.
        """
        import httpx

        self._may_have_run |= may_have_been_sent(exc)
        pause = self._pause(None) if is_transient(exc) else None
        if pause is not None:
            return pause
        if isinstance(exc, httpx.TimeoutException):
            text = f"no answer in time ({type(exc).__name__}){self._effort}"
            raise NextMQTimeoutError(f"{self._origin}: {text}{self._known}", idempotency_key=self._key) from exc
        text = f"{str(exc) or type(exc).__name__}{self._effort}{self._known}; is the server running?"
        raise NextMQConnectionError(f"{self._origin}: {text}", idempotency_key=self._key) from exc

    def pause_after(self, answer: Answer) -> float | None:
        """How long, in s, to wait before another attempt; None where the answer is the last one."""
        self._may_have_run |= answer.status < 400 or (answer.status >= 500 and not answer.is_refusal)
        if answer.status not in RETRIED_STATUSES:
            return None
        return self._pause(parse_retry_after(answer.headers.get("retry-after")))

    def result(self, answer: Answer, reader: t.Callable[[t.Any], R]) -> R:
        """What `reader` makes of the answer's content. Raises what an answer other than 2xx means."""
        if not answer.is_success:
            # What a plain refusal means, the server's message says.
            known = self._known if self._may_have_run or answer.is_refusal else ""
            raise answer.error(known=self._effort + known, idempotency_key=self._key)
        try:
            return answer.read(reader)
        except UnreadableAnswer as exc:
            raise answer.unreadable(exc, known=self._known, idempotency_key=self._key) from None

    def _pause(self, retry_after: float | None) -> float | None:
        if not self._retries or (self._may_have_run and not self._is_repeatable):
            return None
        pause = pause_of(self._attempts, retry_after)
        return pause if pause < self._budget.left() else None

    @property
    def _origin(self) -> str:
        return f"{self.method} {self.url}"

    @property
    def _effort(self) -> str:
        return f" after {self._attempts} attempts" if self._attempts > 1 else ""

    @property
    def _known(self) -> str:
        """What the caller may conclude about a call that has failed, and must not simply be made again."""
        if self._key is None:
            return "; whether it was done is not known" if self._may_have_run and not self._is_repeatable else ""
        if not self._may_have_run:
            return "; nothing was added"
        return (
            f"; whether anything was added is not known: calling again with idempotency_key={self._key!r} within "
            "24 h cannot add it twice"
        )


def key_of(given: object) -> str:
    """The idempotency key that is `given`, or a new one. Raises ConfigurationError for one that cannot be."""
    key = _overrides.new_key() if given is None else given
    if not isinstance(key, str) or not _KEY.fullmatch(key):
        raise ConfigurationError("idempotency_key takes 1 to 128 printable ASCII characters, and no spaces")
    return key
