"""Send one delivery and read its answer: one total deadline, no redirects, a capped raw read."""

from __future__ import annotations

import asyncio
import functools
import re
import typing as t

from ..egress.resolver import CheckedResolver, Resolve, ask_system
from ..egress.rules import EgressRefused, EgressRules
from .answer_reader import BadAnswer
from .answers import Answer, NoAnswer
from .pool import ConnectionPool, NotConnected, Origin

_UNSAFE = re.compile(r"[\r\n\0]")

_TARGETS = 1024
"""How many URLs are remembered as they were read and checked."""


class Target(t.NamedTuple):
    """A URL that was read and checked: where to connect to, and the first two lines of a request."""

    origin: Origin
    request_line: str
    host: str


class DeliveryClient:
    """HTTP for deliveries, to where `egress` lets them go. One per event loop; `close` it.

    `resolver` asks for the addresses of names: the system, unless given.
    """

    def __init__(self, egress: EgressRules, *, resolver: Resolve = ask_system) -> None:
        self._egress = egress
        self._loop = asyncio.get_running_loop()  # asked for once: each time it is a system call
        self._pool = ConnectionPool(CheckedResolver(egress, resolver))
        self._target = functools.lru_cache(_TARGETS)(self._read_url)

    async def send(
        self, url: str, headers: t.Mapping[str, str], body: bytes, *, timeout: float, max_size: int
    ) -> Answer | NoAnswer:
        """POST `body`; the answer by `timeout` s from now, at most `max_size` bytes of it.

        With a `max_size` of 0 the head is the whole answer: what follows it is not waited for. Raises ValueError
        where a header has a line break or a NUL.
        """
        deadline = self._loop.time() + timeout
        try:
            target = self._target(url)
            head = _head(target, headers, len(body))
            connection = await self._pool.take(target.origin, deadline=deadline)
            answer = await connection.post(head, body, max_size=max_size, deadline=deadline)
        except TimeoutError:
            return NoAnswer("timeout", f"no whole answer within {timeout:g} s")
        except (EgressRefused, NotConnected) as exc:
            return NoAnswer("not_sent", str(exc))
        except BadAnswer as exc:
            return NoAnswer("broken", str(exc))
        self._pool.give_back(target.origin, connection)
        return answer

    async def close(self) -> None:
        """Close all connections."""
        await self._pool.close()

    def _read_url(self, url: str) -> Target:
        """Raises EgressRefused."""
        read = self._egress.check_url(url)
        host, port = read.raw_host, read.port
        assert host is not None
        assert port is not None
        origin = Origin(read.scheme, host, port)
        return Target(origin, f"POST {read.raw_path_qs} HTTP/1.1", f"host: {read.host_port_subcomponent}")


def _head(target: Target, headers: t.Mapping[str, str], size: int) -> bytes:
    fields = [f"{name}: {value}" for name, value in headers.items()]
    if _UNSAFE.search(" ".join(fields)):
        raise ValueError("a header of a delivery has a line break or a NUL")
    lines = [target.request_line, target.host, f"content-length: {size}", *fields, "", ""]
    return "\r\n".join(lines).encode()
