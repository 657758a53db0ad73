"""The Sentinels: they are asked where the primary is, and they say when another server becomes it."""

from __future__ import annotations

import asyncio
import collections
import logging
import typing as t

from ..tasks import end_tasks, first_answers
from .address import Address, Place
from .resp import ConnectionLost, Protocol, RedisError
from .silence import watch

logger = logging.getLogger("nextmq_server.redis")

ANSWER_TIME = 2.0
"""How long (s) a Sentinel may take to answer."""

GRACE = 0.5
"""How long (s) to wait for the other Sentinels once one has answered: a stale one may be the fastest."""

RETRY_INTERVAL = 1.0
"""How often (s) to try a Sentinel again that is not there."""

_SWITCHED = "+switch-master"
_PROMOTING = "+failover-state-send-slaveof-noone"

# From here until the new primary is known, the old one may still take writes, which nobody will have then.
_PROMOTION_STATES = ("send_slaveof_noone", "wait_promotion")


class NoWord(Exception):
    """No Sentinel says where the primary is. The text says why, for each Sentinel."""


class _Word(t.NamedTuple):
    """What a Sentinel says. Each failover has a higher `epoch` than the one before."""

    epoch: int
    place: Place
    is_promoting: bool


class _Refused(Exception):
    """A Sentinel does not know the service."""


class Sentinels:
    """The Sentinels of an address. While they are followed, `on_switch` gets each new primary that they name.

    `on_promotion` is called when one of them begins to make a replica the primary. `on_return` is called when a
    Sentinel is back, which may have named another primary meanwhile.
    """

    def __init__(
        self,
        address: Address,
        *,
        on_promotion: t.Callable[[], None],
        on_switch: t.Callable[[Place], None],
        on_return: t.Callable[[], None],
    ) -> None:
        self._address = address
        self._service = str(address.service)
        self._on_promotion = on_promotion
        self._on_switch = on_switch
        self._on_return = on_return
        self._epoch = 0
        self._tasks: list[asyncio.Task[None]] = []

    def follow(self) -> None:
        """Listen to all Sentinels from now on."""
        self._tasks = [asyncio.create_task(self._follow(place)) for place in self._address.places]

    async def stop(self) -> None:
        """Listen to none any more."""
        tasks, self._tasks = self._tasks, []
        await end_tasks(*tasks)

    async def primary(self) -> Place:
        """Return where the primary is, by the Sentinel with the newest configuration. Raises NoWord."""
        asking = {place: self._ask(place) for place in self._address.places}
        words, failures = await first_answers(asking, grace=GRACE)
        if not words:
            raise NoWord(", ".join(f"{place}: {reason(exc)}" for place, exc in failures.items()))
        if any(word.is_promoting for word in words.values()):
            raise NoWord("the Sentinels are making a replica the primary")
        epoch = max(word.epoch for word in words.values())
        named = collections.Counter(word.place for word in words.values() if word.epoch == epoch)
        ((place, _),) = named.most_common(1)
        if epoch < self._epoch and len(words) < len(self._address.places):
            raise NoWord(
                f"{', '.join(map(str, words))}: it names {place}, which was the primary before the last failover: "
                "see why the other Sentinels do not answer"
            )
        self._epoch = epoch
        return place

    async def _ask(self, sentinel: Place) -> _Word:
        async with asyncio.timeout(ANSWER_TIME):
            protocol = await self._connect(sentinel, Protocol)
            try:
                where = await protocol.send(("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._service))
                if not where:
                    raise _Refused(
                        f"this Sentinel does not know the service {self._service!r}: correct it in --redis-url"
                    )
                facts = await self._facts(protocol)
            finally:
                protocol.leave("asked")
        is_promoting = facts.get("failover-state") in _PROMOTION_STATES
        return _Word(int(facts.get("config-epoch", 0)), Place(where[0], int(where[1])), is_promoting)

    async def _facts(self, protocol: Protocol) -> dict[str, str]:
        try:
            flat: list[str] = await protocol.send(("SENTINEL", "MASTER", self._service))
        except RedisError:  # its user may only ask for the address
            return {}
        return dict(zip(flat[::2], flat[1::2], strict=False))

    async def _connect(self, sentinel: Place, kind: t.Callable[[], Protocol]) -> Protocol:
        protocol = await self._address.connect(sentinel, kind)
        try:
            await asyncio.gather(*map(protocol.send, self._address.sentinel_credentials.commands()))
        except BaseException:
            protocol.leave("refused")
            raise
        return protocol

    async def _follow(self, sentinel: Place) -> None:
        """Listen to one Sentinel. A line tells when it is gone, and when it is back."""
        is_gone = False
        while True:
            try:
                why = await self._listen(sentinel, was_gone=is_gone)
                is_gone = False
            except (OSError, ValueError, ConnectionLost, RedisError) as exc:
                why = reason(exc)
            if not is_gone:
                is_gone = True
                logger.warning("the Sentinel at %s does not answer, trying again: %s", sentinel, why)
            await asyncio.sleep(RETRY_INTERVAL)

    async def _listen(self, sentinel: Place, *, was_gone: bool) -> str:
        """Listen until the connection is lost. Return why it was. Raises what connecting does."""
        async with asyncio.timeout(ANSWER_TIME):
            protocol = await self._connect(sentinel, lambda: _News(self._hear))
        try:
            async with asyncio.timeout(ANSWER_TIME):
                await protocol.send(("SUBSCRIBE", _SWITCHED))
                await protocol.send(("SUBSCRIBE", _PROMOTING))
            if was_gone:
                logger.warning("the Sentinel at %s answers again", sentinel)
                self._on_return()
            await watch(
                protocol,
                on_silence=lambda seconds: protocol.leave(f"no answer for {seconds:.1f} s"),
                on_doubt=self._on_return,
            )
        finally:
            protocol.leave("not followed any more")
        return protocol.lost_because

    def _hear(self, channel: str, message: str) -> None:
        """Take a message: the service, the old place, the new one; or a replica, "@", the service, its place."""
        match message.split(" "):
            case [self._service, _, _, host, port] if channel == _SWITCHED:
                self._on_switch(Place(host, int(port)))
            case [*_, "@", self._service, _, _] if channel == _PROMOTING:
                self._on_promotion()
            case _:
                pass  # another service


class _News(Protocol):
    """A connection that has subscribed: messages come between the answers."""

    def __init__(self, hear: t.Callable[[str, str], None]) -> None:
        super().__init__()
        self._reader = t.cast("t.Any", _Sieve(self._reader, hear))


class _Sieve:
    """A reader that hands on the answers, and calls `hear` with the messages."""

    def __init__(self, reader: t.Any, hear: t.Callable[[str, str], None]) -> None:
        self.feed = reader.feed
        self._gets = reader.gets
        self._hear = hear

    def gets(self) -> t.Any:
        while True:
            answer = self._gets()
            if not isinstance(answer, list):
                return answer
            words = t.cast("list[str]", answer)
            if words[0] != "message":
                return words
            self._hear(words[1], words[2])


def reason(exc: BaseException) -> str:
    """Return in words why a place is of no use."""
    match exc:
        case TimeoutError():
            return "no answer"
        case RedisError():
            return f"it refused the connection: {exc}"
        case _:
            return str(getattr(exc, "strerror", None) or exc)
