"""An answer of the server, and the errors that it may be."""

from __future__ import annotations

import json
import typing as t

from ...errors import AuthenticationError, NextMQHTTPError, NotFoundError, QueueFullError, StaleDeliveryError

R = t.TypeVar("R")


class UnreadableAnswer(Exception):
    """A 2xx answer without the content that it should have: it says nothing of what was done."""


class Answer:
    """Status, headers and content of an answer; `origin` is the call it answers, for messages."""

    def __init__(self, origin: str, status: int, headers: t.Mapping[str, str], content: bytes) -> None:
        self.origin = origin
        self.status = status
        self.headers = headers
        self.content = content

    @property
    def code(self) -> str:
        """The server's word for an error, `http_error` where something else answered."""
        return str(self._body().get("error", "http_error"))

    @property
    def is_success(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self.status < 300

    @property
    def is_refusal(self) -> bool:
        """Whether the answer says that nothing was done, and may be later."""
        return self.status == 429 or (self.status == 503 and self.code == "storage_full")

    def read(self, reader: t.Callable[[t.Any], R]) -> R:
        """What `reader` makes of the decoded content, None where there is none.

        Raises UnreadableAnswer for content that is not what the server answers.
        """
        try:
            content = json.loads(self.content) if self.content else None
        except (ValueError, RecursionError):
            raise UnreadableAnswer("content is not JSON: something other than the queue server answered") from None
        try:
            return reader(content)
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as exc:
            raise UnreadableAnswer(
                f"content is not the one expected ({type(exc).__name__}: {exc}): the server is of another "
                "version, or something else answered"
            ) from None

    def unreadable(self, problem: UnreadableAnswer, *, known: str, idempotency_key: str | None) -> Exception:
        """The exception that an answer whose content cannot be read is."""
        return NextMQHTTPError(
            f"{self.origin}: {self.status} whose {problem}{known}",
            status=self.status,
            code="invalid_answer",
            request_id=self.headers.get("x-request-id"),
            idempotency_key=idempotency_key,
        )

    def error(self, *, known: str, idempotency_key: str | None) -> Exception:
        """The exception that an answer other than 2xx is; `known` tells what it means for the call."""
        body = self._body()
        text = f"{self.origin}: {self.status} {self.code}"
        if body.get("message"):
            text += f": {body['message']}"
        if self.code == "stale_delivery":
            return StaleDeliveryError(text)
        details = body.get("details")
        return self._kind()(
            text + known,
            status=self.status,
            code=self.code,
            details=t.cast("dict[str, t.Any]", details) if isinstance(details, dict) else None,
            request_id=self.headers.get("x-request-id"),
            idempotency_key=idempotency_key,
        )

    def _kind(self) -> type[NextMQHTTPError]:
        if self.status in (401, 403):
            return AuthenticationError
        # Not any 404: a proxy's says that the path does not exist.
        if self.status == 404 and self.code == "not_found":
            return NotFoundError
        return QueueFullError if self.status == 503 and self.code == "storage_full" else NextMQHTTPError

    def _body(self) -> dict[str, t.Any]:
        try:
            body = json.loads(self.content)
        except (ValueError, RecursionError):
            return {}
        return t.cast("dict[str, t.Any]", body) if isinstance(body, dict) else {}


def ignored(content: object) -> None:
    """Read nothing."""


def member(name: str, kind: type[R]) -> t.Callable[[t.Any], R]:
    """A reader of one member of an object, which must be a `kind`."""

    def read(content: t.Any) -> R:
        value = content[name]
        if not isinstance(value, kind):
            raise TypeError(f"{name} is {type(value).__name__}")
        return value

    return read


def mapping(name: str) -> t.Callable[[t.Any], dict[str, t.Any]]:
    """A reader of a member that is an object."""

    def read(content: t.Any) -> dict[str, t.Any]:
        return dict(content[name])

    return read


def optional(name: str, kind: type[R]) -> t.Callable[[t.Any], R | None]:
    """`member`, of one that may be null."""
    read = member(name, kind)
    return lambda content: None if content[name] is None else read(content)


def listed(name: str, each: t.Callable[[t.Any], R]) -> t.Callable[[t.Any], list[R]]:
    """A reader of a member that is a list, `each` of its items read."""

    def read(content: t.Any) -> list[R]:
        items: list[t.Any] = content[name]
        return [each(item) for item in items]

    return read
