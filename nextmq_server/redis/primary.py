"""Where the primary is: asked of each place of an address, or of its Sentinels, at every connecting."""

from __future__ import annotations

import asyncio

from .address import Address, Place
from .resp import ConnectionLost, Protocol, RedisError

CONNECT_TIMEOUT = 10.0
"""How long, in s, Redis may take to take a connection and answer its greeting."""

PLACE_TIMEOUT = 3.0
"""The same where there are several to ask: one that is silent must not keep us from the others for long."""


class CannotConnect(Exception):
    """No primary was found; the text says of each place why."""


class _NotUsable(Exception):
    """What listens there takes no writes, or knows no primary."""


async def open_primary(address: Address, name: str) -> Protocol:
    """A connection called `name` to the primary. Raises CannotConnect."""
    several = len(address.places) > 1 or address.service is not None
    timeout = PLACE_TIMEOUT if several else CONNECT_TIMEOUT
    failures: list[str] = []
    for place in address.places:
        try:
            async with asyncio.timeout(timeout):
                if address.service is not None:
                    place = await _ask_sentinel(address, place)  # noqa: PLW2901 - it names another one
                return await _open_at(address, place, name)
        except (OSError, ValueError, ConnectionLost, RedisError, _NotUsable) as exc:
            failures.append(f"{place}: {_told(exc)}" if several else _told(exc))
    raise CannotConnect(", ".join(failures))


async def _open_at(address: Address, place: Place, name: str) -> Protocol:
    protocol = await address.connect(place, Protocol)
    try:
        greeting = [*address.greeting(), ("CLIENT", "SETNAME", name)]
        await asyncio.gather(*map(protocol.send, greeting))
        info = await _info(protocol)
        if info.get("role") == "slave":
            raise _NotUsable("it is a replica, which takes no writes: --redis-url is to name the primary")
        if info.get("loading") == "1":
            raise _NotUsable("it still loads its data: wait until it has")
    except BaseException:
        protocol.close()
        raise
    return protocol


async def _ask_sentinel(address: Address, sentinel: Place) -> Place:
    """Where the Sentinel says that the primary is."""
    protocol = await address.connect(sentinel, Protocol)
    try:
        *_, answer = await asyncio.gather(
            *map(protocol.send, address.sentinel_credentials.commands()),
            protocol.send(("SENTINEL", "GET-MASTER-ADDR-BY-NAME", str(address.service))),
        )
    finally:
        protocol.close()
    if not answer:
        raise _NotUsable(f"this Sentinel knows no service {address.service!r}")
    return Place(answer[0], int(answer[1]))


async def _info(protocol: Protocol) -> dict[str, str]:
    try:
        return parse_info(await protocol.send(("INFO",)))
    except RedisError:  # who may not ask is told so by the checks of the start
        return {}


def parse_info(text: str) -> dict[str, str]:
    """What the answer to INFO says, by its names."""
    lines = (line.partition(":") for line in text.splitlines())
    return {name: value for name, _, value in lines}


def _told(exc: Exception) -> str:
    match exc:
        case TimeoutError():
            return "no answer"
        case RedisError():
            return f"it refused the connection: {exc}"
        case _:
            return str(getattr(exc, "strerror", None) or exc)
