"""What Redis holds of triggers: a record of each, and the last runs."""

from __future__ import annotations

import asyncio
import logging
import typing as t

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from nextmq_handler.protocol.signing import Secret, parse_secret

from ..engine.scripts.scripts import ScriptRunner, fields_of

logger = logging.getLogger("nextmq_server.triggers")

MAX_TRIGGERS = 1000
MAX_TOTAL_SIZE = 32 * 1024 * 1024
"""The most bytes that all triggers of a project may take together: one answer lists them."""

MAX_RUNS = 50
"""How many runs of a trigger are kept."""

PREVIOUS_SECRET_LIFE = 86_400_000
"""How long, in ms, a rotated secret still signs beside the new one."""

_FULL = -1

_ADD = """
local size = #ARGV[2]
local ids = redis.call('HKEYS', KEYS[1])
for _, id in ipairs(ids) do size = size + redis.call('HSTRLEN', KEYS[1], id) end
if #ids >= tonumber(ARGV[3]) or size > tonumber(ARGV[4]) then return -1 end
return redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
"""

_CHANGE = """
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return 1
"""

_REMOVE = """
redis.call('DEL', KEYS[2])
return redis.call('HDEL', KEYS[1], ARGV[1])
"""

# A run that ends after its trigger was removed is not recorded.
_NOTE = """
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 then return end
redis.call('LPUSH', KEYS[2], ARGV[2])
redis.call('LTRIM', KEYS[2], 0, ARGV[3] - 1)
"""


class NoSuchTrigger(Exception):
    """The trigger does not exist."""


class TooManyTriggers(Exception):
    """The project has reached the limit of triggers, or of their total size."""


class _Stored(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore", frozen=True)


class StoredRun(_Stored):
    """One POST of a trigger. `at` is ms since the epoch; `status` is None without an HTTP answer."""

    at: int
    status: int | None
    outcome: t.Literal["succeeded", "failed"]
    duration_ms: int
    attempt: int
    error: str | None


class TriggerOptions(_Stored):
    """The options of a trigger. `body` is the payload as it is sent: JSON in ASCII.

    `repeat` uses BullMQ's names, `backoff` is the job option, `timeout` is ms.
    """

    name: str | None
    url: str
    body: str
    repeat: dict[str, t.Any]
    attempts: int
    backoff: t.Any
    timeout: int


class StoredTrigger(TriggerOptions):
    """A trigger as Redis holds it. Its repr shows no secret. Times are ms since the epoch."""

    id: str
    created_at: int
    is_paused: bool = False
    secret: str = Field(repr=False)
    previous_secret: str | None = Field(default=None, repr=False)
    previous_until: int = 0

    def signing_secrets(self, now: float) -> list[Secret]:
        """Return the secrets that sign at `now`, Unix s: the current one, and for a day the previous one."""
        texts = [self.secret]
        if self.previous_secret is not None and now * 1000 < self.previous_until:
            texts.append(self.previous_secret)
        return [parse_secret(text, source=f"the secret of trigger {self.id}") for text in texts]

    def rotated(self, secret: str, *, now: int) -> StoredTrigger:
        """Return the trigger with another secret from `now` on, ms since the epoch."""
        before = {"previous_secret": self.secret, "previous_until": now + PREVIOUS_SECRET_LIFE}
        return self.model_copy(update={"secret": secret, **before})


class TriggerRecords:
    """The triggers of one project. Each call raises RedisError or ConnectionLost."""

    def __init__(self, scripts: ScriptRunner) -> None:
        self._scripts = scripts
        self._connection = scripts.connection
        self._key = scripts.keys("triggers")

    async def add(self, trigger: StoredTrigger) -> None:
        """Store a new trigger. Raises TooManyTriggers."""
        text = trigger.model_dump_json(by_alias=True)
        args = [trigger.id, text, MAX_TRIGGERS, MAX_TOTAL_SIZE]
        if await self._scripts.run_composed(_ADD, [self._key], args) == _FULL:
            raise TooManyTriggers

    async def get(self, id: str) -> StoredTrigger | None:
        """Return a trigger, or None."""
        return _read(id, await self._connection.execute("HGET", self._key, id))

    async def all(self) -> list[StoredTrigger]:
        """Return all triggers, the oldest first."""
        texts = fields_of(await self._connection.execute("HGETALL", self._key))
        triggers = [_read(id, text) for id, text in texts.items()]
        return sorted((one for one in triggers if one), key=lambda trigger: (trigger.created_at, trigger.id))

    async def ids(self) -> set[str]:
        """Return the ids of all triggers."""
        return set(await self._connection.execute("HKEYS", self._key))

    async def exist(self) -> bool:
        """Return whether there are any triggers."""
        return bool(await self._connection.execute("EXISTS", self._key))

    async def change(self, id: str, change: t.Callable[[StoredTrigger], StoredTrigger]) -> None:
        """Store what `change` makes of a trigger. Concurrent changes are not lost. Raises NoSuchTrigger."""
        while True:
            text: str | None = await self._connection.execute("HGET", self._key, id)
            held = _read(id, text)
            if held is None:
                raise NoSuchTrigger(id)
            args = [id, text, change(held).model_dump_json(by_alias=True)]
            if await self._scripts.run_composed(_CHANGE, [self._key], args):
                return

    async def remove(self, id: str) -> bool:
        """Remove a trigger with its runs; return whether there was one."""
        return bool(
            await self._scripts.run_composed(_REMOVE, [self._key, self._scripts.keys("trigger-runs", id)], [id])
        )

    async def note(self, id: str, run: StoredRun) -> None:
        """Record a run of a trigger."""
        args = [id, run.model_dump_json(by_alias=True), MAX_RUNS]
        await self._scripts.run_composed(_NOTE, [self._key, self._scripts.keys("trigger-runs", id)], args)

    async def runs(self, id: str) -> list[StoredRun]:
        """Return the last runs of a trigger, the newest first."""
        texts: list[str] = await self._connection.execute("LRANGE", self._scripts.keys("trigger-runs", id), 0, -1)
        return [StoredRun.model_validate_json(text) for text in texts]

    async def last_runs(self, ids: t.Sequence[str]) -> list[StoredRun | None]:
        """Return the last run of each of the triggers."""
        calls = [self._connection.execute("LINDEX", self._scripts.keys("trigger-runs", id), 0) for id in ids]
        texts: list[str | None] = await asyncio.gather(*calls)
        return [StoredRun.model_validate_json(text) if text else None for text in texts]


def _read(id: str, text: str | None) -> StoredTrigger | None:
    if text is None:
        return None
    try:
        return StoredTrigger.model_validate_json(text)
    except ValidationError:  # not shown: it holds the secret
        logger.error("trigger %s: its stored record cannot be read: delete the trigger and create it again", id)
        return None
