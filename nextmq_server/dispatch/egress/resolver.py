"""Resolve a name to addresses that the egress rules allow. The client connects to the addresses checked here."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import typing as t
from ipaddress import ip_address

from .rules import EgressRules

AddressInfo: t.TypeAlias = tuple[int, int, int, str, tuple[t.Any, ...]]
"""One address, as `socket.getaddrinfo` returns it."""

Resolve = t.Callable[[str, int], t.Awaitable[t.Sequence[AddressInfo]]]
"""Return all addresses of a host for a port. Raises OSError if it has none, UnicodeError for an invalid name."""

MAX_LOOKUPS = 2
"""How many names one project looks up at once. A lookup that was given up counts until the system ends it."""

LOOKUP_TIMEOUT = 5.0
"""How long, in s, a lookup may take, and how long it may wait for the project's other lookups."""

_SLOW = "the name server did not answer within {:g} s"
_BUSY = "other lookups of the project did not end within {:g} s"


async def ask_system(host: str, port: int) -> t.Sequence[AddressInfo]:
    """Ask the system's resolver, in a thread of its own: a slow lookup must not keep other threads' work waiting.

    A thread cannot be stopped. Nobody waits for one that is not needed any more, not even the end of the process.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[t.Sequence[AddressInfo]] = loop.create_future()

    def settle(found: t.Sequence[AddressInfo] | Exception) -> None:
        if answer.done():
            return
        if isinstance(found, Exception):
            answer.set_exception(found)
        else:
            answer.set_result(found)

    def ask() -> None:
        found: t.Sequence[AddressInfo] | Exception
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as exc:
            found = exc
        with contextlib.suppress(RuntimeError):  # the event loop was closed
            loop.call_soon_threadsafe(settle, found)

    threading.Thread(target=ask, name="nextmq-lookup", daemon=True).start()
    return await answer


class CheckedResolver:
    """A resolver for one project that refuses a name if the rules refuse any of its addresses.

    Lookups of the same name at the same time share one answer, as for a queue's first deliveries.
    """

    def __init__(self, rules: EgressRules, resolve: Resolve) -> None:
        self._rules = rules
        self._resolve = resolve
        self._asked: dict[tuple[str, int], asyncio.Task[t.Sequence[AddressInfo] | OSError]] = {}
        self._free = asyncio.Semaphore(MAX_LOOKUPS)

    async def resolve(self, host: str, port: int, *, is_plain: bool) -> t.Sequence[AddressInfo]:
        """Return all addresses of `host`. Raises EgressRefused, or OSError if there are none."""
        found = _of_address(host, port)
        if found is None:
            asked = self._asked.get((host, port))
            if asked is None:
                asked = self._asked[host, port] = asyncio.create_task(self._ask(host, port))
            answer = await asyncio.shield(asked)  # others may wait for it
            if isinstance(answer, OSError):
                raise answer
            found = answer
        for *_, address in found:
            self._rules.check_address(address[0], is_plain=is_plain, name=host)
        return found

    async def _ask(self, host: str, port: int) -> t.Sequence[AddressInfo] | OSError:
        try:
            return await self._look_up(host, port) or socket.gaierror(socket.EAI_NONAME, "it has no address")
        except OSError as exc:
            return exc
        except UnicodeError:
            return socket.gaierror(socket.EAI_NONAME, "it has no address")
        finally:
            del self._asked[host, port]

    async def _look_up(self, host: str, port: int) -> t.Sequence[AddressInfo]:
        try:
            async with asyncio.timeout(LOOKUP_TIMEOUT):
                await self._free.acquire()
        except TimeoutError:
            raise socket.gaierror(socket.EAI_AGAIN, _BUSY.format(LOOKUP_TIMEOUT)) from None
        lookup = asyncio.ensure_future(self._resolve(host, port))
        lookup.add_done_callback(self._ended)
        await asyncio.wait({lookup}, timeout=LOOKUP_TIMEOUT)
        if not lookup.done():
            raise socket.gaierror(socket.EAI_AGAIN, _SLOW.format(LOOKUP_TIMEOUT))
        return lookup.result()

    def _ended(self, lookup: asyncio.Future[t.Sequence[AddressInfo]]) -> None:
        self._free.release()
        if not lookup.cancelled():
            lookup.exception()  # nobody may wait for it any more


def _of_address(host: str, port: int) -> t.Sequence[AddressInfo] | None:
    """Return what a lookup of an address would; None if `host` is a name."""
    try:
        version = ip_address(host).version
    except ValueError:
        return None
    if version == 6:
        return [(socket.AF_INET6, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (host, port, 0, 0))]
    return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (host, port))]
