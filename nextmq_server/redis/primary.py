"""The primary at an address, for all connections of this process: found, followed, and left when it is silent."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import typing as t
import weakref

from ..tasks import first_answers
from .address import Address, Place
from .resp import ConnectionLost, Protocol, RedisError
from .sentinels import NoWord, Sentinels, reason

logger = logging.getLogger("nextmq_server.redis")

CONNECT_TIMEOUT = 10.0
"""How long (s) the only Redis may take at the start to accept a connection and answer its first commands."""

PLACE_TIMEOUT = 3.0
"""The same (s) later, and if there are several places: the next try finds out sooner that Redis is back."""

GRACE = 0.5
"""How long (s) to wait for the other hosts once one is a primary: a newer one may answer later."""


class CannotConnect(Exception):
    """No primary was found. The text says why for each place."""


class _NotUsable(Exception):
    """The server at a place does not take writes."""


class Session(t.NamedTuple):
    """A connection to the primary at `place`: the client `client_id` in the run `run_id` of it; "" if unknown."""

    protocol: Protocol
    place: Place
    client_id: str
    run_id: str
    info: t.Mapping[str, str]


class Primary:
    """Opens connections to the primary, and leaves them together. One line of the log tells each change."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._places: dict[Protocol, Place] = {}
        self._users = 0
        self._is_up = True
        self._place: Place | None = None
        self._told: set[str] = set()
        self._asking: asyncio.Task[None] | None = None
        self._sentinels: Sentinels | None = None
        if address.service is not None:
            self._sentinels = Sentinels(
                address, on_promotion=self._promoting, on_switch=self._switch, on_return=self.doubt
            )

    @classmethod
    def of(cls, address: Address) -> Primary:
        """Return the primary of `address`, the same one for all connections to it."""
        known = _PRIMARIES.get(address)
        if known is None:
            known = _PRIMARIES[address] = cls(address)
        return known

    def join(self) -> None:
        """Follow the Sentinels while somebody uses the primary."""
        self._users += 1
        if self._users == 1 and self._sentinels is not None:
            self._sentinels.follow()

    async def part(self) -> None:
        """End a `join`."""
        self._users -= 1
        if not self._users and self._sentinels is not None:
            await self._sentinels.stop()

    async def open(self, name: str, *, is_first: bool) -> Session:
        """Connect as a client called `name`, for the first time or again. Raises CannotConnect."""
        try:
            session = await self._find(name, CONNECT_TIMEOUT if is_first else PLACE_TIMEOUT)
        except CannotConnect as exc:
            why = str(exc)
            if not is_first and why not in self._told:
                self._told.add(why)
                logger.warning("cannot connect to Redis at %s, trying again: %s", self._address, why)
            raise
        self._places[session.protocol] = session.place
        self._note_connected(session.place)
        return session

    def closed(self, session: Session) -> None:
        """Take note that a connection was closed."""
        self._places.pop(session.protocol, None)

    def lost(self, session: Session) -> None:
        """Take note that a connection was lost."""
        self.closed(session)
        self._note_lost(f"lost the connection to Redis at {self._address}: {session.protocol.lost_because}")

    def silent(self, seconds: float) -> None:
        """Leave a Redis that has not answered for so long."""
        self._leave(f"Redis at {self._address} has not answered for {seconds:.1f} s", "it does not answer")

    def doubt(self) -> None:
        """Ask the Sentinels whether the primary is still the same, and leave it if not."""
        if self._sentinels is not None and (self._asking is None or self._asking.done()):
            self._asking = asyncio.create_task(self._ask(self._sentinels))

    async def _ask(self, sentinels: Sentinels) -> None:
        with contextlib.suppress(NoWord):  # they are followed: the first that is back is asked again
            self._switch(await sentinels.primary())

    def _promoting(self) -> None:
        self._leave(f"the Sentinels are replacing the primary of {self._address}", "the primary is being replaced")

    def _switch(self, place: Place) -> None:
        if self._place not in (None, place):
            why = f"the Sentinels made {place} the primary of {self._address} instead of {self._place}"
            self._leave(why, "the primary is another server", keep=place)

    def _leave(self, line: str, why: str, *, keep: Place | None = None) -> None:
        self._note_lost(line)
        for protocol, place in self._places.items():
            if place != keep:
                protocol.leave(why)

    def _note_lost(self, line: str) -> None:
        if self._is_up:
            logger.error("%s: connecting again", line)
        self._is_up = False

    def _note_connected(self, place: Place) -> None:
        is_new = self._place not in (None, place)
        if is_new:
            logger.warning(
                "connected to Redis at %s: the primary is %s, it was %s", self._address, place, self._place
            )
        elif not self._is_up:
            logger.warning("connected to Redis at %s again", self._address)
        self._is_up, self._place = True, place
        self._told.clear()

    async def _find(self, name: str, timeout: float) -> Session:
        if self._sentinels is not None:
            return await self._find_by_sentinels(self._sentinels, name)
        places = self._address.places
        several = len(places) > 1
        opening = {place: self._open_at(place, name, PLACE_TIMEOUT if several else timeout) for place in places}
        found, failures = await first_answers(opening, grace=GRACE, discard=_abandon)
        if not found:
            whys = (f"{place}: {reason(exc)}" if several else reason(exc) for place, exc in failures.items())
            raise CannotConnect(", ".join(whys))
        newest = _newest(list(found.values()))
        for session in found.values():
            if session is not newest:
                session.protocol.leave("it is not the primary any more")
        return newest

    async def _find_by_sentinels(self, sentinels: Sentinels, name: str) -> Session:
        place: Place | None = None
        try:
            place = await sentinels.primary()
            session = await self._open_at(place, name, PLACE_TIMEOUT)
            # A server that hung may have said that it is the primary before it heard of another one.
            if await sentinels.primary() == place:
                return session
            session.protocol.leave("the primary is another server")
            raise _NotUsable("the Sentinels name another primary meanwhile")
        except NoWord as exc:
            raise CannotConnect(str(exc)) from exc
        except _FAILURES as exc:
            raise CannotConnect(f"{place}: {reason(exc)}") from exc

    async def _open_at(self, place: Place, name: str, timeout: float) -> Session:
        async with asyncio.timeout(timeout):
            protocol = await self._address.connect(place, Protocol)
            try:
                greeting = [*self._address.greeting(), ("CLIENT", "SETNAME", name)]
                await asyncio.gather(*map(protocol.send, greeting))
                client_id = await _answer_if_allowed(protocol, "CLIENT", "ID")
                info = parse_info(await _answer_if_allowed(protocol, "INFO"))
                _check(info)
            except BaseException:
                protocol.leave("not usable")
                raise
        return Session(protocol, place, client_id, info.get("run_id", ""), info)


def _abandon(session: Session) -> None:
    session.protocol.leave("nobody waits for it any more")


_PRIMARIES: weakref.WeakValueDictionary[Address, Primary] = weakref.WeakValueDictionary()

_FAILURES = (OSError, ValueError, ConnectionLost, RedisError, _NotUsable)


def _check(info: t.Mapping[str, str]) -> None:
    if info.get("role") == "slave":
        raise _NotUsable("it is a replica, which takes no writes: name the primary in --redis-url")
    if info.get("loading") == "1":
        raise _NotUsable("it is loading its data: wait until it is ready")
    if info.get("min_slaves_good_slaves") == "0":  # only there if min-replicas-to-write is set
        raise _NotUsable("it takes no writes without a replica that keeps up: see min-replicas-to-write")


def _newest(sessions: t.Sequence[Session]) -> Session:
    """Return the primary that took over from the others: the history of its data begins with theirs."""
    successors = [
        session
        for session in sessions
        if any(session.info.get("master_replid2") == other.info.get("master_replid") for other in sessions)
    ]
    return (successors or sessions)[0]


async def _answer_if_allowed(protocol: Protocol, *command: str) -> str:
    try:
        return str(await protocol.send(command))
    except RedisError:  # check_redis tells a user who may not run INFO
        return ""


def parse_info(text: str) -> dict[str, str]:
    """Return the fields in the answer to INFO by their names."""
    lines = (line.partition(":") for line in text.splitlines())
    return {name: value for name, _, value in lines}
