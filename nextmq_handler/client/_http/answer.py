"""An answer of the server: the content it carries, or the error it means."""

from __future__ import annotations

import functools
import json
import types
import typing as t

from typing_extensions import is_typeddict  # typing's knows only its own before Python 3.12

from ...errors import AuthenticationError, NextMQHTTPError, NotFoundError, QueueFullError, StaleDeliveryError
from ...rules.log_text import one_line
from ...rules.options import camel

MAX_TOLD = 2000
"""The most characters of a server's message that an exception quotes."""

R = t.TypeVar("R")

Reader = t.Callable[[t.Any], R]
"""Make what a call returns out of the decoded content of its answer; raise for unexpected content."""

_NOT_OURS = "something other than the queue server answered; check the host in NEXTMQ_URL"


class UnreadableAnswer(Exception):
    """A 2xx answer without the expected content: it does not say what the server did."""


class ServerAnswer:
    """Status, headers and content of an answer. `problem` says why the content cannot be read, if it cannot."""

    def __init__(
        self, status: int, headers: t.Mapping[str, str], content: bytes, problem: str | None = None
    ) -> None:
        self.status = status
        self.headers = headers
        self._content = content
        self._problem = problem

    @property
    def is_refusal(self) -> bool:
        """Whether the server did nothing, and may do it later."""
        return self.status == 429 or (self.status == 503 and self._code == "storage_full")

    def read(self, reader: Reader[R]) -> R:
        """Return what `reader` makes of the decoded content, which is None if it is empty.

        Raises UnreadableAnswer for content that the queue server does not send.
        """
        if self._problem is not None:
            raise UnreadableAnswer(self._problem)
        try:
            content = json.loads(self._content) if self._content else None
        except (ValueError, RecursionError):
            raise UnreadableAnswer(f"content is not JSON: {_NOT_OURS}") from None
        try:
            return reader(content)
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as exc:
            raise UnreadableAnswer(
                f"content is not the expected one ({type(exc).__name__}: {exc}): the server has another "
                "version than this SDK, or something else answered"
            ) from None

    def unreadable(self, origin: str, problem: str, idempotency_key: str | None) -> NextMQHTTPError:
        """Return the exception for content that cannot be read; `origin` is the call, `problem` what is wrong."""
        text = f"{origin}: {self.status} whose {problem}"
        return self._error(NextMQHTTPError, text, code="invalid_answer", idempotency_key=idempotency_key)

    def error(self, origin: str, known: str, idempotency_key: str | None) -> Exception:
        """Return the exception for an answer other than 2xx; `known` says what the caller may conclude."""
        body = self._body
        message, details = body.get("message", "" if "error" in body else _NOT_OURS), body.get("details")
        text = f"{origin}: {self.status} {self._code}" + (f": {shortened(message)}" if message else "")
        if self._code == "stale_delivery":
            return StaleDeliveryError(text)
        shown = t.cast("dict[str, t.Any]", details) if isinstance(details, dict) else None
        return self._error(
            self._kind, text + known, code=self._code, details=shown, idempotency_key=idempotency_key
        )

    def _error(self, kind: type[NextMQHTTPError], text: str, **members: t.Any) -> NextMQHTTPError:
        request_id = self.headers.get("x-request-id")
        return kind(text, status=self.status, request_id=request_id and shortened(request_id), **members)

    @property
    def _code(self) -> str:
        """The server's error code, `http_error` if something else answered."""
        return shortened(self._body.get("error", "http_error"))

    @property
    def _kind(self) -> type[NextMQHTTPError]:
        match self.status, self._code:
            case ((401 | 403), _):
                return AuthenticationError
            case 404, "not_found":  # a proxy's 404 has another code: the path does not exist
                return NotFoundError
            case (503, "storage_full") | (507, "project_full"):
                return QueueFullError
            case _:
                return NextMQHTTPError

    @functools.cached_property
    def _body(self) -> dict[str, t.Any]:
        try:
            body = json.loads(self._content)
        except (ValueError, RecursionError):
            return {}
        return t.cast("dict[str, t.Any]", body) if isinstance(body, dict) else {}


def shortened(told: object) -> str:
    """Return what an answer tells, for one line of an exception's text."""
    return one_line(str(told), MAX_TOLD)


def ignored(_: object) -> None:
    """Read nothing."""


def done(_: object) -> bool:
    """Read nothing but that the call succeeded."""
    return True


def whole(kind: type[R]) -> Reader[R]:
    """Return a reader of content that is a `kind`: a plain class, a list of a class, a TypedDict, a NamedTuple."""
    return functools.partial(_read, kind)


def member(name: str, kind: type[R]) -> Reader[R]:
    """Return a reader of one member of an object. The member is a `kind`, as in `whole`."""
    return lambda content: _read(kind, content[name])


def optional(name: str, kind: type[R]) -> Reader[R | None]:
    """Return a reader as `member` does, of a member that may be null."""
    return lambda content: None if content[name] is None else _read(kind, content[name])


def listed(name: str, each: Reader[R]) -> Reader[list[R]]:
    """Return a reader of a member that is a list; `each` reads an item."""

    def read(content: t.Any) -> list[R]:
        items: list[t.Any] = content[name]
        return [each(item) for item in items]

    return read


def paged(reader: Reader[R]) -> Reader[tuple[R, str | None]]:
    """Return a reader of a part of a list: what `reader` makes of it, and where the rest begins."""

    def read(content: t.Any) -> tuple[R, str | None]:
        return reader(content), content.get("next")

    return read


def _read(kind: t.Any, value: t.Any) -> t.Any:
    origin = t.get_origin(kind) or kind
    if origin in (t.Union, types.UnionType):  # of a type and None
        return None if value is None else _read(t.get_args(kind)[0], value)
    if origin is t.Literal:  # a later server may have more of them
        return value
    if is_typeddict(origin) or hasattr(origin, "_fields"):  # the latter is a NamedTuple
        return origin(**{name: _read(hint, value.get(_spelt(name))) for name, hint in _hints(origin).items()})
    if not isinstance(value, origin):
        raise TypeError(f"{type(value).__name__} instead of {origin.__name__}")
    if origin is list:
        (each,) = t.get_args(kind)
        return [_read(each, item) for item in t.cast("list[t.Any]", value)]
    return value


def _spelt(name: str) -> str:
    """Return the wire's name for a member of a TypedDict or NamedTuple."""
    return "prevTS" if name == "prev_ts" else camel(name)


_hints = functools.cache(t.get_type_hints)
