"""Read long lists from Redis piece by piece, so that no answer of it is large, however large the values are."""

from __future__ import annotations

import typing as t

from ..scripts.scripts import QueueScripts, ScriptRunner, as_function

PIECE = 256 * 1024
"""How many bytes of text one piece has. The value that passes it is the last: a piece has at least one."""

FIRST_FIELD = "0:0"
"""Where the fields of a hash begin: Redis's cursor, and how many fields to skip there."""

Hash = list[str]
"""The fields of a hash, each followed by its value."""

# KEYS: the keys of jobs. ARGV: PIECE. Returns the hash of each, until the piece is full; {} for what is not a job.
_HASHES = """
local left, found = tonumber(ARGV[1]), {}
for i, key in ipairs(KEYS) do
  local fields = redis.call('TYPE', key).ok == 'hash' and redis.call('HGETALL', key) or {}
  for _, text in ipairs(fields) do left = left - #text end
  found[i] = fields
  if left <= 0 then break end
end
return found
"""

# KEYS: the queue's prefix. ARGV: PIECE, first and last position, "1" for the oldest first, a state.
# Returns the number of positions that were read, whether there may be more, and {id, hash} of each job.
_JOBS = (
    as_function("getRanges")
    + """
local left, first, last, asc, state = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4], ARGV[5]
local ids = getRanges(KEYS, {first, last, asc, state})[1]
local is_list = state == 'wait' or state == 'paused' or state == 'active'
local found, read = {}, 0
for i = 1, #ids do
  local id = ids[(asc == '1' and is_list) and #ids + 1 - i or i]
  local key = KEYS[1] .. id
  local fields = redis.call('TYPE', key).ok == 'hash' and redis.call('HGETALL', key) or {}
  if #fields > 0 then table.insert(found, {id, fields}) end
  for _, text in ipairs(fields) do left = left - #text end
  read = i
  if left <= 0 then break end
end
return {read, read < #ids and 1 or 0, found}
"""
)

# KEYS: a hash. ARGV: PIECE, the cursor, how many fields to skip there. Returns some fields, each followed by its
# value, and where the next are: "" at the end. Redis scans several fields at once, which may be more than a piece.
_FIELDS = """
local left, cursor, skip, found = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3]), {}
repeat
  local answer = redis.call('HSCAN', KEYS[1], cursor, 'COUNT', 1)
  local fields = answer[2]
  for i = 1 + 2 * skip, #fields, 2 do
    if left <= 0 then return {found, cursor .. ':' .. skip} end
    table.insert(found, fields[i])
    table.insert(found, fields[i + 1])
    left, skip = left - #fields[i] - #fields[i + 1], skip + 1
  end
  cursor, skip = answer[1], 0
until cursor == '0' or left <= 0
return {found, cursor == '0' and '' or cursor .. ':0'}
"""

# KEYS: a job's completed children (a hash), open ones (a set), failed ones (sorted) and ignored ones (a hash).
# ARGV: how many of each kind. Returns their keys.
_CHILDREN = """
local limit, found = tonumber(ARGV[1]), {}
local function scan(command, key, step)
  local cursor, count = '0', 0
  repeat
    local answer = redis.call(command, key, cursor, 'COUNT', 10)
    cursor = answer[1]
    for i = 1, #answer[2], step do
      if count < limit then table.insert(found, answer[2][i]) end
      count = count + 1
    end
  until cursor == '0' or count >= limit
end
scan('HSCAN', KEYS[1], 2)
scan('SSCAN', KEYS[2], 1)
for _, child in ipairs(redis.call('ZRANGE', KEYS[3], 0, limit - 1)) do table.insert(found, child) end
scan('HSCAN', KEYS[4], 2)
return found
"""

# KEYS: a list. ARGV: PIECE, first and last position, "1" for the oldest first. Returns its length and some values.
_VALUES = """
local left, first, last, asc = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
local length, found = redis.call('LLEN', KEYS[1]), {}
while first <= last and first < length and left > 0 do
  local value = redis.call('LINDEX', KEYS[1], asc == '1' and first or -first - 1)
  table.insert(found, value)
  left, first = left - #value, first + 1
end
return {length, found}
"""


class JobsPiece(t.NamedTuple):
    """Some jobs of a state: how many positions they took, whether more follow, and each job's id and hash."""

    read: int
    has_more: bool
    jobs: list[tuple[str, Hash]]


async def read_state(scripts: QueueScripts, state: str, start: int, end: int, *, ascending: bool) -> JobsPiece:
    """Return the first jobs from position `start` to `end` of a state. Raises RedisError or ConnectionLost."""
    name = "wait" if state == "waiting" else state
    args = [PIECE, start, end, int(ascending), name]
    read, has_more, jobs = await scripts.run_composed(_JOBS, [scripts.keys[""]], args)
    return JobsPiece(read, bool(has_more), [(id, fields) for id, fields in jobs])


async def read_hashes(runner: ScriptRunner, keys: t.Sequence[str]) -> list[Hash]:
    """Return the hashes of the first of these jobs, at least one; empty for one that does not exist.

    Raises RedisError or ConnectionLost.
    """
    found: list[Hash] = await runner.run_composed(_HASHES, keys, [PIECE])
    return found


async def read_fields(scripts: QueueScripts, key: str, place: str) -> tuple[Hash, str | None]:
    """Return some fields of a hash from `place` on, at first FIRST_FIELD, and the next place: None at the end.

    A field may come twice. Raises RedisError or ConnectionLost.
    """
    fields, following = await scripts.run_composed(_FIELDS, [key], [PIECE, *place.split(":")])
    return fields, following or None


async def read_values(
    scripts: QueueScripts, key: str, start: int, end: int, *, ascending: bool
) -> tuple[int, list[str]]:
    """Return the length of a list, and its first values from `start` to `end`.

    Raises RedisError or ConnectionLost.
    """
    length, values = await scripts.run_composed(_VALUES, [key], [PIECE, start, end, int(ascending)])
    return length, values


async def read_children(scripts: QueueScripts, job_id: str, limit: int) -> list[str]:
    """Return the keys of up to `limit` children of each kind; one may come twice.

    Raises RedisError or ConnectionLost.
    """
    keys = [scripts.key(job_id, part) for part in ("processed", "dependencies", "unsuccessful", "failed")]
    found: list[str] = await scripts.run_composed(_CHILDREN, keys, [limit])
    return found
