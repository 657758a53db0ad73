"""Send one delivery and read its answer: one total deadline, no redirects, a capped raw read."""

from __future__ import annotations

import asyncio
import functools
import re
import typing as t

from nextmq_handler._package import SERVER
from nextmq_handler.protocol.signing import Secret, signature_headers

from ..egress.resolver import CheckedResolver, Resolve, ask_system
from ..egress.rules import EgressRefused, EgressRules
from .answer_reader import BadAnswer
from .answers import AppAnswer, NoAnswer
from .http1 import ClosedWhenIdle, Origin
from .pool import ConnectionPool, NoSocket, NotConnected

_UNSAFE = re.compile(r"[\r\n\0]")

_TARGETS = 1024
"""How many parsed and checked URLs are kept."""


class RequestTarget(t.NamedTuple):
    """A parsed and checked URL: where to connect to, and the first two lines of a request."""

    origin: Origin
    request_line: str
    host: str


class DeliveryClient:
    """The HTTP client of deliveries. It connects only where `egress` allows. One per event loop; `close` it.

    `resolver` looks up the addresses of a name, by default with the system's resolver.
    """

    def __init__(self, egress: EgressRules, *, resolver: Resolve = ask_system) -> None:
        self._egress = egress
        self._loop = asyncio.get_running_loop()  # kept: each lookup is a system call
        self._pool = ConnectionPool(CheckedResolver(egress, resolver))
        self._target = functools.lru_cache(_TARGETS)(self._read_url)

    async def send(
        self, url: str, headers: t.Mapping[str, str], body: bytes, *, timeout: float, max_size: int
    ) -> AppAnswer | NoAnswer:
        """POST `body` and return the answer, at most `max_size` bytes of it, within `timeout` s.

        With a `max_size` of 0 only the head is read. Raises ValueError if a header has a line break or a NUL.
        """
        deadline = self._loop.time() + timeout
        try:
            target = self._target(url)
            head = _head(target, headers, len(body))
            connection = await self._pool.take(target.origin, deadline=deadline)
            try:
                answer = await connection.post(head, body, max_size=max_size, deadline=deadline)
            except ClosedWhenIdle as exc:
                self._pool.broke(target.origin, connection)
                if exc.was_read:
                    raise
                connection = await self._pool.connect(target.origin, deadline=deadline)
                answer = await connection.post(head, body, max_size=max_size, deadline=deadline)
        except TimeoutError:
            return NoAnswer("timeout", f"no whole answer within {timeout:g} s")
        except (EgressRefused, NotConnected) as exc:
            return NoAnswer("not_sent", str(exc))
        except NoSocket as exc:
            return NoAnswer("unsendable", str(exc))
        except BadAnswer as exc:
            return NoAnswer("broken", str(exc))
        self._pool.give_back(target.origin, connection, answer.headers.all(b"keep-alive"))
        return answer

    async def close(self) -> None:
        """Close all connections."""
        await self._pool.close()

    def _read_url(self, url: str) -> RequestTarget:
        """Parse and check a URL. Raises EgressRefused."""
        read = self._egress.check_url(url)
        host, port = read.raw_host, read.port
        assert host is not None
        assert port is not None
        origin = Origin(read.scheme, host, port)
        return RequestTarget(origin, f"POST {read.raw_path_qs} HTTP/1.1", f"host: {read.host_port_subcomponent}")


def signed_headers(secrets: t.Sequence[Secret], id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """Return the headers of a JSON request signed under `secrets`. `timestamp` is Unix s."""
    headers = {
        "content-type": "application/json",
        "accept-encoding": "identity",
        "user-agent": SERVER,
    }
    for name, value in signature_headers(secrets, id, timestamp, body):
        headers[name.decode()] = value.decode()
    return headers


def _head(target: RequestTarget, headers: t.Mapping[str, str], size: int) -> bytes:
    fields = [f"{name}: {value}" for name, value in headers.items()]
    if _UNSAFE.search(" ".join(fields)):
        raise ValueError("a header of a delivery has a line break or a NUL")
    lines = [target.request_line, target.host, f"content-length: {size}", *fields, "", ""]
    return "\r\n".join(lines).encode()
