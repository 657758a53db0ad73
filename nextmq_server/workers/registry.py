"""The registry: which app works for which queue (protocol section 4). Redis keeps it for all server processes."""

from __future__ import annotations

import asyncio
import difflib
import logging
import typing as t

from pydantic import ValidationError

from nextmq_handler.protocol.clocks import wall_clock
from nextmq_handler.rules.schedules import ScheduleModel

from ..redis.connection import ConnectionLost, RedisConnection, RedisError
from ..redis.keys import ProjectKeys
from .registration import Registration

logger = logging.getLogger("nextmq_server")

POLL_INTERVAL = 1.0
"""How often, in s, a process checks what other server processes registered."""

# Each is one step, so that no process counts a write that it cannot see, or replaces a registration unseen.
# KEYS: the registrations, the count of writes. ARGV: the queue, the text held, the new text.
_PUT = """
if (redis.call("HGET", KEYS[1], ARGV[1]) or "") ~= ARGV[2] then return 0 end
redis.call("HSET", KEYS[1], ARGV[1], ARGV[3])
redis.call("INCR", KEYS[2])
return 1
"""
# KEYS: the same. ARGV: the queue.
_DELETE = """
local removed = redis.call("HDEL", KEYS[1], ARGV[1])
redis.call("INCR", KEYS[2])
return removed
"""


class WorkerConflict(Exception):
    """Another registration holds the queue; `fields` differ."""

    def __init__(self, fields: list[str]) -> None:
        super().__init__(", ".join(fields))
        self.fields = fields


class Registry:
    """The registrations of one project. Several server processes may share it."""

    def __init__(
        self, connection: RedisConnection, keys: ProjectKeys, *, clock: t.Callable[[], float] = wall_clock
    ) -> None:
        self._connection = connection
        self._key = keys("workers")
        self._writes_key = keys("workers-writes")
        self._writes: str | None = None
        self._clock = clock
        self._registrations: dict[str, Registration] = {}
        self._texts: dict[str, str] = {}

    async def load(self) -> dict[str, Registration]:
        """Read and return all registrations. Raises RedisError or ConnectionLost."""
        # The count comes first: the next check then finds a write that happens in between.
        self._writes = await self._connection.execute("GET", self._writes_key)
        flat: list[str] = await self._connection.execute("HGETALL", self._key)
        texts = dict(zip(flat[::2], flat[1::2], strict=True))
        registrations: dict[str, Registration] = {}
        for queue, text in texts.items():
            held = self._registrations.get(queue) if self._texts.get(queue) == text else _read(queue, text)
            if held is not None:
                registrations[queue] = held
        self._registrations, self._texts = registrations, texts
        return dict(registrations)

    async def refresh(self) -> dict[str, Registration | None]:
        """Take over what other processes changed; return the previous registration of each changed queue.

        Raises RedisError or ConnectionLost.
        """
        if await self._connection.execute("GET", self._writes_key) == self._writes:
            return {}
        before = self._registrations
        after = await self.load()
        return {queue: before.get(queue) for queue in before | after if before.get(queue) != after.get(queue)}

    async def follow(self, apply: t.Callable[[str, Registration | None], t.Awaitable[None]]) -> None:
        """Run forever: call `apply` with each queue that another process changed and its previous registration.

        A call that raises is repeated later.
        """
        pending: dict[str, Registration | None] = {}
        while True:
            await asyncio.sleep(POLL_INTERVAL)
            try:
                pending = await self.refresh() | pending  # the oldest registration not yet applied wins
                for queue in list(pending):
                    await apply(queue, pending[queue])
                    del pending[queue]
            except ConnectionLost:
                await self._connection.ready()
            except RedisError as exc:
                logger.error("cannot follow the registrations of other servers, trying again: %s", exc)
            except Exception:  # whatever it was, later registrations must still arrive
                logger.exception("cannot follow the registrations of other servers, trying again")

    def get(self, queue: str) -> Registration | None:
        """Return the registration of `queue`."""
        return self._registrations.get(queue)

    def all(self) -> dict[str, Registration]:
        """Return the registration of each queue that has one."""
        return dict(self._registrations)

    async def declared(self, queue: str) -> list[ScheduleModel]:
        """Return the schedules of the registration that Redis holds now. Raises RedisError or ConnectionLost."""
        text: str | None = await self._connection.execute("HGET", self._key, queue)
        return Registration.model_validate_json(text).schedules if text is not None else []

    def leads_back(self, queue: str, dead_letter: str | None) -> bool:
        """Return whether what fails in `queue` would return to it from `dead_letter`, even by other queues."""
        passed: set[str] = set()
        while dead_letter is not None and dead_letter not in passed:
            if dead_letter == queue:
                return True
            passed.add(dead_letter)
            held = self.get(dead_letter)
            dead_letter = held.options.dead_letter if held else None
        return False

    def nearest(self, queue: str) -> str | None:
        """Return the queue with a worker whose name is most like `queue`: perhaps that one was meant."""
        by_folded = {name.casefold(): name for name in self._registrations}
        near = difflib.get_close_matches(queue.casefold(), by_folded, n=1, cutoff=0.75)
        return by_folded[near[0]] if near else None

    async def put(self, queue: str, registration: Registration, *, replace: bool | str) -> bool:
        """Store a registration; return whether it changed what this process knew.

        `replace` is the fingerprint of the registration to replace, or True for any. Raises WorkerConflict,
        RedisError or ConnectionLost.
        """
        while True:
            # Read from Redis: another process may have stored one a moment ago.
            text: str = await self._connection.execute("HGET", self._key, queue) or ""
            held = _read(queue, text) if text else None
            fields = held.differing_fields(registration) if held else ["url"]
            if held is not None and fields and replace not in (True, held.fingerprint):
                raise WorkerConflict(fields)
            seen = registration.model_copy(update={"last_seen": round(self._clock() * 1000)})
            new = seen.model_dump_json(by_alias=True)
            if await self._connection.execute("EVAL", _PUT, 2, self._key, self._writes_key, queue, text, new):
                break
        known = self._registrations.get(queue)
        self._registrations[queue], self._texts[queue] = seen, new
        return bool(fields) or known is None or bool(known.differing_fields(seen))

    async def delete(self, queue: str) -> bool:
        """Remove a registration; return whether there was one. Raises RedisError or ConnectionLost."""
        removed = await self._connection.execute("EVAL", _DELETE, 2, self._key, self._writes_key, queue)
        self._registrations.pop(queue, None)
        self._texts.pop(queue, None)
        return bool(removed)


def _read(queue: str, text: str) -> Registration | None:
    try:
        return Registration.model_validate_json(text)
    except ValidationError:
        logger.error(
            "queue %s: its stored registration cannot be read: start its app, which registers again", queue
        )
        return None
