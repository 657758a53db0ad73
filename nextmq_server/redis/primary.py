"""Find the primary: ask each place of an address, or its Sentinels, at every connection."""

from __future__ import annotations

import asyncio

from .address import Address, Place
from .resp import ConnectionLost, Protocol, RedisError

CONNECT_TIMEOUT = 10.0
"""How long (s) Redis may take to accept a connection and answer its first commands."""

PLACE_TIMEOUT = 3.0
"""The same (s) if there are several places: a silent one must not delay the others for long."""


class CannotConnect(Exception):
    """No primary was found. The text says why for each place."""


class _NotUsable(Exception):
    """The server at a place does not take writes, or does not know the primary."""


async def open_primary(address: Address, name: str) -> Protocol:
    """Connect to the primary, as a client called `name`. Raises CannotConnect."""
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
            failures.append(f"{place}: {_why(exc)}" if several else _why(exc))
    raise CannotConnect(", ".join(failures))


async def _open_at(address: Address, place: Place, name: str) -> Protocol:
    protocol = await address.connect(place, Protocol)
    try:
        greeting = [*address.greeting(), ("CLIENT", "SETNAME", name)]
        await asyncio.gather(*map(protocol.send, greeting))
        info = await _info(protocol)
        if info.get("role") == "slave":
            raise _NotUsable("it is a replica, which takes no writes: name the primary in --redis-url")
        if info.get("loading") == "1":
            raise _NotUsable("it is loading its data: wait until it is ready")
    except BaseException:
        protocol.close()
        raise
    return protocol


async def _ask_sentinel(address: Address, sentinel: Place) -> Place:
    """Ask a Sentinel where the primary is."""
    protocol = await address.connect(sentinel, Protocol)
    try:
        *_, answer = await asyncio.gather(
            *map(protocol.send, address.sentinel_credentials.commands()),
            protocol.send(("SENTINEL", "GET-MASTER-ADDR-BY-NAME", str(address.service))),
        )
    finally:
        protocol.close()
    if not answer:
        raise _NotUsable(f"this Sentinel does not know the service {address.service!r}: correct it in --redis-url")
    return Place(answer[0], int(answer[1]))


async def _info(protocol: Protocol) -> dict[str, str]:
    try:
        return parse_info(await protocol.send(("INFO",)))
    except RedisError:  # check_redis tells a user who may not run INFO
        return {}


def parse_info(text: str) -> dict[str, str]:
    """Return the fields in the answer to INFO by their names."""
    lines = (line.partition(":") for line in text.splitlines())
    return {name: value for name, _, value in lines}


def _why(exc: Exception) -> str:
    match exc:
        case TimeoutError():
            return "no answer"
        case RedisError():
            return f"it refused the connection: {exc}"
        case _:
            return str(getattr(exc, "strerror", None) or exc)
