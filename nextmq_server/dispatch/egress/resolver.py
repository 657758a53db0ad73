"""Resolve a name to addresses that the egress rules allow. The client connects to the addresses checked here."""

from __future__ import annotations

import asyncio
import socket
import typing as t

from .rules import EgressRules

AddressInfo: t.TypeAlias = tuple[int, int, int, str, tuple[t.Any, ...]]
"""One address, as `socket.getaddrinfo` returns it."""

Resolve = t.Callable[[str, int], t.Awaitable[t.Sequence[AddressInfo]]]
"""Return all addresses of a host for a port. Raises OSError if it has none, UnicodeError for an invalid name."""


async def ask_system(host: str, port: int) -> t.Sequence[AddressInfo]:
    """Ask the system's resolver."""
    return await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)


class CheckedResolver:
    """A resolver that refuses a name if the rules refuse any of its addresses.

    Lookups of the same name at the same time share one answer, as for a queue's first deliveries: the system looks
    up only a few names at a time.
    """

    def __init__(self, rules: EgressRules, resolve: Resolve) -> None:
        self._rules = rules
        self._resolve = resolve
        self._asked: dict[tuple[str, int], asyncio.Task[t.Sequence[AddressInfo] | OSError]] = {}

    async def resolve(self, host: str, port: int, *, is_plain: bool) -> t.Sequence[AddressInfo]:
        """Return all addresses of `host`. Raises EgressRefused, or OSError if there are none."""
        asked = self._asked.get((host, port))
        if asked is None:
            asked = self._asked[host, port] = asyncio.create_task(self._ask(host, port))
        found = await asyncio.shield(asked)  # others may wait for it
        if isinstance(found, OSError):
            raise found
        for *_, address in found:
            self._rules.check_address(address[0], is_plain=is_plain, name=host)
        return found

    async def _ask(self, host: str, port: int) -> t.Sequence[AddressInfo] | OSError:
        try:
            found = await self._resolve(host, port)
        except OSError as exc:
            return exc
        except UnicodeError:
            found = ()
        finally:
            del self._asked[host, port]
        return found or socket.gaierror(socket.EAI_NONAME, "it has no address")
