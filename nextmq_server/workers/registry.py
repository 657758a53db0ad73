"""The registry: which app works for which queue (protocol section 4). Redis keeps it for all server processes."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import typing as t

from nextmq_handler.rules.limits import MAX_REGISTRATIONS, MAX_WORKERS
from nextmq_handler.rules.log_text import one_line
from nextmq_handler.rules.near_names import nearest
from nextmq_handler.rules.schedules import ScheduleModel

from ..redis.connection import ConnectionLost, RedisConnection, RedisError
from ..redis.keys import ProjectKeys
from .differences import differences
from .registration import Registration
from .versions import Versions

logger = logging.getLogger("nextmq_server")

POLL_INTERVAL = 1.0
"""How often, in s, a process checks what other server processes registered."""

_SCANNED = 16  # registrations at a time

# Each is one step, so that no process counts a write that it cannot see, or replaces a registration unseen.
# KEYS: the registrations, the count of writes, the versions.
# ARGV: the queue, the texts held, the new texts. The text of a registration that stays is not written.
_PUT = """
if (redis.call("HGET", KEYS[1], ARGV[1]) or "") ~= ARGV[2] then return 0 end
if (redis.call("HGET", KEYS[3], ARGV[1]) or "") ~= ARGV[3] then return 0 end
redis.call("HSET", KEYS[3], ARGV[1], ARGV[5])
if ARGV[4] ~= ARGV[2] then
  redis.call("HSET", KEYS[1], ARGV[1], ARGV[4])
  redis.call("INCR", KEYS[2])
end
return 1
"""
# KEYS: the same. ARGV: the queue.
_DELETE = """
local removed = redis.call("HDEL", KEYS[1], ARGV[1])
redis.call("HDEL", KEYS[3], ARGV[1])
redis.call("INCR", KEYS[2])
return removed
"""


class WorkerConflict(Exception):
    """Another registration holds the queue; `fields` keep the new one from its place, `differences` say more."""

    def __init__(self, fields: list[str], differences: list[str]) -> None:
        super().__init__(", ".join(fields))
        self.fields = fields
        self.differences = differences


class TooManyWorkers(Exception):
    """The project has no room for another registration; the text says why, and what to do."""


class _TextMark(t.NamedTuple):
    """What tells one stored registration from another: the length and a digest of its text."""

    size: int
    digest: bytes

    @classmethod
    def of(cls, text: str) -> t.Self:
        raw = text.encode("utf-8", "surrogateescape")
        return cls(len(raw), hashlib.sha256(raw).digest())


class OlderVersion(Exception):
    """A newer version of the app holds the queue: the registration changed nothing."""


class Registry:
    """The registrations of one project. Several server processes may share it.

    Its times are those of Redis, unless `clock` returns others: Unix s.
    """

    def __init__(
        self, connection: RedisConnection, keys: ProjectKeys, *, clock: t.Callable[[], float] | None = None
    ) -> None:
        self._connection = connection
        self._key = keys("workers")
        self._versions_key = keys("workers-versions")
        self._writes_key = keys("workers-writes")
        self._writes: str | None = None
        self._clock = clock
        self._registrations: dict[str, Registration] = {}
        self._stored: dict[str, _TextMark] = {}

    async def load(self) -> dict[str, Registration]:
        """Read and return all registrations. Raises RedisError or ConnectionLost."""
        # The count comes first: the next check then finds a write that happens in between.
        self._writes = await self._connection.execute("GET", self._writes_key)
        registrations: dict[str, Registration] = {}
        stored: dict[str, _TextMark] = {}
        cursor = "0"
        while True:  # in pieces: all of them may be large
            cursor, flat = await self._connection.execute("HSCAN", self._key, cursor, "COUNT", _SCANNED)
            for queue, text in zip(flat[::2], flat[1::2], strict=True):
                stored[queue] = _TextMark.of(text)
                is_known = self._stored.get(queue) == stored[queue]
                held = self._registrations.get(queue) if is_known else _read(queue, text)
                if held is not None:
                    registrations[queue] = held
            if cursor == "0":
                break
        self._registrations, self._stored = registrations, stored
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
        held = _read(queue, text) if text is not None else None
        return held.schedules if held is not None else []

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
        return nearest(queue, self._registrations, cutoff=0.75)

    async def put(
        self, queue: str, registration: Registration, *, replace: bool | str, newest_wins: bool = False
    ) -> bool:
        """Store a registration; return whether it changed how the queue runs, as far as this process knew.

        `replace` is the fingerprint of the registration to replace, or True for any. With `newest_wins` the
        process that started last is the one, at whatever URL. Raises OlderVersion, WorkerConflict, RedisError or
        ConnectionLost.
        """
        while True:
            held, texts, versions, now = await self._held(queue)
            new = registration.seen(now)
            claimed = registration.deploy or replace is True or (held is not None and replace == held.fingerprint)
            if held is not None and not claimed and not newest_wins and (fields := held.conflicts(new)):
                raise WorkerConflict(fields, differences(held, new))
            decision = versions.decide(held, new, now, claimed=claimed, newest_wins=newest_wins)
            after = new if held is None or decision == "taken" else held
            if decision == "kept":
                after = after.model_copy(update={"last_seen": now})
            warns = not newest_wins and versions.warns_of(held, after, now)
            if held is None or decision == "taken":
                self._check_room(queue, after)
            stored = await self._store(queue, texts, held, after, versions)
            if stored is not None:
                break
        if decision == "older":
            raise OlderVersion
        if held is not None and held.fingerprint != after.fingerprint:
            _tell_takeover(queue, held, after, logging.WARNING if warns else logging.INFO)
        known = self._registrations.get(queue)
        self._registrations[queue], self._stored[queue] = after, _TextMark.of(stored)
        return held is None or known is None or not known.runs_as(after) or not held.runs_as(after)

    async def hear(self, queue: str, fingerprint: str, secret_id: str) -> None:
        """Record that the version `fingerprint` answered a delivery, under the webhook secret of this id.

        The app of a registration has this secret from then on. Raises RedisError or ConnectionLost.
        """
        while True:
            held, texts, versions, now = await self._held(queue)
            if held is None:
                return
            if fingerprint in versions.heard:  # another one becomes known when it registers
                versions.hear(fingerprint, held.fingerprint, now)
            if await self._store(queue, texts, held, held.having(secret_id), versions) is not None:
                return

    async def delete(self, queue: str) -> bool:
        """Remove a registration; return whether there was one. Raises RedisError or ConnectionLost."""
        removed = await self._connection.execute("EVAL", _DELETE, 3, *self._keys(), queue)
        self._registrations.pop(queue, None)
        self._stored.pop(queue, None)
        return bool(removed)

    def _check_room(self, queue: str, new: Registration) -> None:
        """Raise TooManyWorkers if the project would have too many registrations, as far as this process knows."""
        others = [stored.size for name, stored in self._stored.items() if name != queue]
        if len(others) >= MAX_WORKERS:
            raise TooManyWorkers(
                f"the project has {MAX_WORKERS} workers: delete those of queues that are not used"
            )
        if (size := sum(others) + len(new.text())) > MAX_REGISTRATIONS:
            raise TooManyWorkers(
                f"the registrations of the project would be {size} bytes, over the limit of {MAX_REGISTRATIONS}: "
                "delete some, or register with smaller schemas and schedules"
            )

    def _keys(self) -> tuple[str, str, str]:
        return self._key, self._writes_key, self._versions_key

    async def _held(self, queue: str) -> tuple[Registration | None, tuple[str, str], Versions, int]:
        """Return what Redis holds now: the registration, the texts of both, the versions, and the time in ms."""
        execute = self._connection.execute
        # Read from Redis: another process may have stored one a moment ago.
        text, versions_text, (seconds, micros) = await asyncio.gather(
            execute("HGET", self._key, queue), execute("HGET", self._versions_key, queue), execute("TIME")
        )
        now = int(seconds) * 1000 + int(micros) // 1000 if self._clock is None else round(self._clock() * 1000)
        held = _read(queue, text) if text else None
        versions = Versions.model_validate_json(versions_text) if versions_text else Versions()
        if held is not None and held.fingerprint not in versions.heard:
            versions.hear(held.fingerprint, held.fingerprint, now)  # a server without versions stored it
        return held, (text or "", versions_text or ""), versions, now

    async def _store(
        self,
        queue: str,
        texts: tuple[str, str],
        held: Registration | None,
        after: Registration,
        versions: Versions,
    ) -> str | None:
        """Store `after` and the versions if Redis still holds these texts; return the text of `after` then."""
        new = texts[0] if after == held else after.text()
        arguments = (queue, *texts, new, versions.model_dump_json())
        return new if await self._connection.execute("EVAL", _PUT, 3, *self._keys(), *arguments) else None


def _tell_takeover(queue: str, before: Registration, after: Registration, level: int) -> None:
    old, new = (
        f'release "{one_line(each.release)}"' if each.release else "a release without a name"
        for each in (before, after)
    )
    what = "; ".join(differences(before, after)) or "nothing else differs"
    logger.log(level, "queue %s: %s takes over from %s: %s", queue, new, old, what)


def _read(queue: str, text: str) -> Registration | None:
    try:
        return Registration.read(text)
    except (ValueError, TypeError):
        logger.error(
            "queue %s: its stored registration cannot be read: start its app, which registers again", queue
        )
        return None
