"""Bulk operations in Redis: what they do, how far they are, and which process runs each."""

from __future__ import annotations

import json
import secrets
import typing as t

from nextmq_handler.protocol import strict_json
from nextmq_handler.rules.search.bulk import BulkAction

from ....redis.keys import ProjectKeys
from ...scripts.scripts import ScriptRunner, fields_of, flat

MAX_RUNNING = 10
"""How many operations of a project may be under way."""

MAX_KEPT = 100
"""How many operations of a project are kept."""

KEPT_FOR = 7 * 24 * 3600
"""How long, in s, an operation is kept after it has ended."""

LOCK_LIFE = 5000
"""After so many ms without a sign of the process that runs an operation, another one goes on with it."""

SKIPPED = "skipped:"
"""What the fields begin with that count the jobs that were left alone, each for one reason."""

OperationState = t.Literal["running", "done", "cancelled", "failed"]

_NOW = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
"""

# KEYS: the index, the operation. ARGV: its id, MAX_RUNNING, MAX_KEPT, what the keys of operations begin with, the
# fields. Returns when it was created, 0 if too many are under way.
_CREATE = (
    _NOW
    + """
local running, ended = 0, {}
for _, id in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  if redis.call('HGET', ARGV[4] .. id, 'state') == 'running' then
    running = running + 1
  else
    table.insert(ended, id)
  end
end
if running >= tonumber(ARGV[2]) then return 0 end
for i = 1, running + #ended + 1 - ARGV[3] do
  if ended[i] then
    redis.call('ZREM', KEYS[1], ended[i])
    redis.call('DEL', ARGV[4] .. ended[i])
  end
end
redis.call('HSET', KEYS[2], 'createdAt', now, unpack(ARGV, 5))
redis.call('ZADD', KEYS[1], now, ARGV[1])
return now
"""
)

# KEYS: the index. ARGV: what the keys of operations begin with, a token, LOCK_LIFE. Locks the oldest operation
# that is under way and that no process runs. Returns its id, or "".
_TAKE = """
for _, id in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  local key = ARGV[1] .. id
  if redis.call('HGET', key, 'state') == 'running'
    and redis.call('SET', key .. ':lock', ARGV[2], 'NX', 'PX', ARGV[3])
  then
    return id
  end
end
return ''
"""

FENCE = """
local function is_ours(op, lock, token)
  return redis.call('HGET', op, 'state') == 'running' and redis.call('GET', lock) == token
end
"""
"""A Lua function: whether the operation is under way, and run by the process with this token."""

# KEYS: the operation, its lock. ARGV: the token, LOCK_LIFE, fields. Returns 0 if the operation is not ours.
_PROGRESS = (
    FENCE
    + """
if not is_ours(KEYS[1], KEYS[2], ARGV[1]) then return 0 end
redis.call('PEXPIRE', KEYS[2], ARGV[2])
if #ARGV > 2 then redis.call('HSET', KEYS[1], unpack(ARGV, 3)) end
return 1
"""
)

# KEYS: the operation, its lock. ARGV: the state, the token or "" for any, KEPT_FOR, fields.
_END = (
    _NOW
    + """
if redis.call('HGET', KEYS[1], 'state') ~= 'running' then return 0 end
if ARGV[2] ~= '' and redis.call('GET', KEYS[2]) ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], 'state', ARGV[1], 'finishedAt', now, unpack(ARGV, 4))
redis.call('HDEL', KEYS[1], 'ids', 'spot')
redis.call('EXPIRE', KEYS[1], ARGV[3])
redis.call('DEL', KEYS[2])
return 1
"""
)

_RELEASE = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"


class NoSuchOperation(Exception):
    """The bulk operation does not exist (any more)."""


class TooManyOperations(Exception):
    """The project has as many bulk operations under way as it may have."""


class Operation:
    """A bulk operation as Redis holds it. Times are ms since the epoch."""

    def __init__(self, id: str, fields: dict[str, str]) -> None:
        self.id = id
        self.action: BulkAction = t.cast("BulkAction", fields["action"])
        self.queue = fields["queue"]
        self.filter: str | None = fields.get("filter")
        self.ids: list[str] | None = json.loads(fields["ids"]) if "ids" in fields else None
        self.options: dict[str, t.Any] = json.loads(fields["options"])
        self.per_second = int(fields["perSecond"]) if "perSecond" in fields else None
        self.created_at = int(fields["createdAt"])
        self.next = int(fields.get("next", 0))
        self.spot: str | None = fields.get("spot")
        self.looked = int(fields.get("looked", 0))
        self.total = int(fields["total"]) if "total" in fields else None
        self._fields = fields

    def view(self) -> dict[str, t.Any]:
        """Return the operation as the API shows it."""
        fields = self._fields
        return {
            "id": self.id,
            "action": self.action,
            "queue": self.queue,
            "filter": self.filter,
            "state": fields["state"],
            "matching": int(fields.get("matching", 0)),
            "done": int(fields.get("done", 0)),
            "skipped": {
                name.removeprefix(SKIPPED): int(count)
                for name, count in fields.items()
                if name.startswith(SKIPPED)
            },
            "lookedAt": self.looked,
            "total": self.total,
            "problem": fields.get("problem"),
            "createdAt": self.created_at,
            "finishedAt": int(fields["finishedAt"]) if "finishedAt" in fields else None,
            "by": fields.get("by"),
        }


class Operations:
    """The bulk operations of one project. Each method raises RedisError or ConnectionLost too."""

    def __init__(self, runner: ScriptRunner, keys: ProjectKeys) -> None:
        self._runner = runner
        self._keys = keys

    def keys_of(self, id: str) -> list[str]:
        """Return the keys of an operation and of its lock."""
        return [self._keys("bulk", id), self._keys("bulk", id, "lock")]

    async def ready(self) -> None:
        """Wait until Redis can be reached."""
        await self._runner.connection.ready()

    async def create(self, fields: t.Mapping[str, t.Any]) -> Operation:
        """Create an operation that is to run. Raises TooManyOperations."""
        id = secrets.token_hex(8)
        stored = {
            name: value if isinstance(value, str) else strict_json.compact(value)
            for name, value in fields.items()
            if value is not None
        }
        keys = [self._index, self._keys("bulk", id)]
        args = [id, MAX_RUNNING, MAX_KEPT, self._prefix, *flat({**stored, "state": "running"})]
        if not await self._runner.run_composed(_CREATE, keys, args):
            raise TooManyOperations
        return await self.get(id)

    async def get(self, id: str) -> Operation:
        """Return an operation. Raises NoSuchOperation."""
        fields = fields_of(await self._runner.connection.execute("HGETALL", self._keys("bulk", id)))
        if "action" not in fields:
            raise NoSuchOperation(id)
        return Operation(id, fields)

    async def all(self) -> list[Operation]:
        """Return the operations that are kept, the newest first."""
        found: list[Operation] = []
        for id in await self._runner.connection.execute("ZREVRANGE", self._index, 0, -1):
            fields = fields_of(await self._runner.connection.execute("HGETALL", self._keys("bulk", id)))
            if "action" in fields:
                found.append(Operation(id, fields))
        return found

    async def take(self, token: str) -> Operation | None:
        """Lock an operation that no process runs, and return it; None if there is nothing to do."""
        args = [self._prefix, token, LOCK_LIFE]
        id: str = await self._runner.run_composed(_TAKE, [self._index], args)
        return await self.get(id) if id else None

    async def progress(self, id: str, token: str, **fields: object) -> bool:
        """Note how far an operation is, and keep its lock. Return whether this process still runs it."""
        noted = flat({name: str(value) for name, value in fields.items()})
        return bool(await self._runner.run_composed(_PROGRESS, self.keys_of(id), [token, LOCK_LIFE, *noted]))

    async def end(self, id: str, state: OperationState, token: str = "", **fields: str) -> None:
        """End an operation that is under way, if the process with this token runs it; "" stands for any."""
        args = [state, token, KEPT_FOR, *flat({"state": state, **fields})]
        await self._runner.run_composed(_END, self.keys_of(id), args)

    async def cancel(self, id: str) -> Operation:
        """Cancel an operation: it changes no job from now on. Return it. Raises NoSuchOperation."""
        await self.get(id)
        await self.end(id, "cancelled")
        return await self.get(id)

    async def release(self, id: str, token: str) -> None:
        """Let another process go on with the operation."""
        await self._runner.run_composed(_RELEASE, self.keys_of(id)[1:], [token])

    @property
    def _index(self) -> str:
        return self._keys("bulks")

    @property
    def _prefix(self) -> str:
        return self._keys("bulk", "")
