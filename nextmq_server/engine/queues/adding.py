"""Add jobs: one, a thousand or a flow, in one step. With an idempotency key, only once."""

from __future__ import annotations

import functools
import typing as t
from dataclasses import dataclass

from ...redis.connection import RedisError
from ..scripts.packers import ADDERS, ScriptCall, add_call, bullmq_job_of
from ..scripts.scripts import ScriptRunner, as_function, pack

IDEMPOTENCY_LIFE = 86_400_000
"""How long (ms) an idempotency key is kept with its result."""

_ADDER_NUMBERS = {script: number for number, script in enumerate(ADDERS, 1)}
_PARENT_GONE = -5
_REUSED = "IDEMPOTENCYKEYREUSED"

# KEYS: the idempotency key, then the keys of each queue and kind of add.
# ARGV[1]: msgpack of {has an idempotency key, digest of the request, life in ms,
# {{first key, last key, what the keys of snapshots begin with} …},
# {{adder, key set, number of arguments, is plain: has no id, parent or deduplication id} …}}.
# ARGV[2…]: the arguments of each add.
_LUA = (
    "".join(map(as_function, ADDERS))
    + """
local adders = {addStandardJob, addDelayedJob, addPrioritizedJob, addParentJob}
local once, request, life, key_ranges, adds = unpack(cmsgpack.unpack(ARGV[1]))

local kept = once and redis.call('GET', KEYS[1])
if kept then
  local seen, results = unpack(cmsgpack.unpack(kept))
  if seen == request then return {1, results} end
  return redis.error_reply('"""
    + _REUSED
    + """ another request had this key')
end

local key_sets, jobs, order, completed, adding = {}, {}, {}, {}, {}
for i, range in ipairs(key_ranges) do key_sets[i] = {unpack(KEYS, range[1], range[2])} end

-- All or nothing: find what BullMQ's scripts would refuse before the first job is added.
local function check(i, job)
  local prefix, wanted, parent = job[1], job[2], job[5]
  local key = prefix .. wanted
  if parent and not adding[parent] and redis.call('EXISTS', parent) == 0 then return -5 end
  local held = wanted ~= '' and (redis.call('HGET', key, 'parentKey') or adding[key]) or ''
  local has_other = parent and held ~= '' and held ~= parent
  if has_other and (adding[held] or redis.call('EXISTS', held) == 1) then return -7 end
  adding[key] = held ~= '' and held or parent or ''
  -- A completed child lets its parent run if no other child is open: so add the open children first.
  local is_completed = parent and wanted ~= '' and redis.call('ZSCORE', prefix .. 'completed', wanted)
  table.insert(is_completed and completed or order, i)
end

local first_arguments, next_argument = {}, 2
for i, add in ipairs(adds) do
  first_arguments[i], next_argument = next_argument, next_argument + add[3]
  if add[4] then
    table.insert(order, i)
  else
    jobs[i] = cmsgpack.unpack(ARGV[first_arguments[i]])
    local refusal = check(i, jobs[i])
    if refusal then return {refusal, i} end
  end
end
for _, i in ipairs(completed) do table.insert(order, i) end

local results = {}
for _, i in ipairs(order) do
  local add, job, first = adds[i], jobs[i], first_arguments[i]
  local was_there = job and job[2] ~= '' and redis.call('EXISTS', job[1] .. job[2]) == 1
  local id = adders[add[1]](key_sets[add[2]], {unpack(ARGV, first, first + add[3] - 1)})
  if type(id) == 'number' then return {id, i} end
  if job and job[2] == '' then was_there = job[9] and id ~= redis.call('GET', job[1] .. 'id') end
  if job and job[2] ~= '' and id ~= job[2] then was_there = true end
  -- What an earlier job with this id ended with is not this one's.
  if not was_there then redis.call('DEL', key_ranges[add[2]][3] .. id) end
  results[i] = (was_there and '1' or '0') .. id
end
if once then redis.call('SET', KEYS[1], cmsgpack.pack({request, results}), 'PX', life) end
return {0, results}
"""
)


class IdempotencyKeyReused(Exception):
    """Another request used this idempotency key."""


class UnusableParent(Exception):
    """The parent of the job at `index` does not exist, or the job exists already with another parent."""

    def __init__(self, index: int, *, is_gone: bool) -> None:
        super().__init__("the parent does not exist" if is_gone else "the job has another parent")
        self.index = index
        self.is_gone = is_gone


@dataclass(frozen=True)
class JobToAdd:
    """A job to add, with BullMQ's long option names. `timestamp` is ms since the epoch.

    A parent in the options has the full name of its queue, prefix included, as BullMQ expects it.
    """

    prefix: str
    queue: str
    name: str
    data: t.Any
    opts: dict[str, t.Any]
    timestamp: int
    job_id: str | None = None
    is_parent: bool = False

    @functools.cached_property
    def job(self) -> t.Any:
        """BullMQ's own object, which its packers read."""
        job = bullmq_job_of(f"{self.prefix}:{self.queue}", self.name, self.data, self.opts, self.job_id)
        job.timestamp = self.timestamp
        return job

    @functools.cached_property
    def call(self) -> ScriptCall:
        """The call of BullMQ's script that adds the job."""
        return add_call(self.prefix, self.queue, self.job, is_parent=self.is_parent)

    @property
    def is_possible(self) -> bool:
        """Whether BullMQ can add the job: data and options that another client wrote may be anything."""
        try:
            return bool(self.call)
        except (AttributeError, OverflowError, TypeError, ValueError):
            return False

    @property
    def escaped_size(self) -> int:
        """The length of the data as ASCII JSON, in bytes. In UTF-8 it has at most as many."""
        return len(self.call.args[1])

    @property
    def is_plain(self) -> bool:
        """Whether no other job affects how this one is added."""
        return self.job_id is None and not self.opts.get("parent") and not self.opts.get("deduplication")

    @property
    def state(self) -> str:
        """The state that the job has at first."""
        return ADDERS[self.call.script]


@dataclass(frozen=True)
class Idempotency:
    """The key under which the result is kept, and a digest of the request that it belongs to."""

    key: str
    request: str


class AddResult(t.NamedTuple):
    """The id of a job. `deduplicated`: the job existed before. `replayed`: an earlier request added it."""

    id: str
    deduplicated: bool
    replayed: bool


async def add_jobs(
    runner: ScriptRunner, jobs: t.Sequence[JobToAdd], idempotency: Idempotency | None
) -> list[AddResult]:
    """Add all jobs in one step, as `Jobs.add` says."""
    keys: list[str] = [idempotency.key if idempotency else ""]
    key_ranges: list[tuple[int, int, str]] = []
    sets: dict[tuple[str, str], int] = {}
    adds: list[tuple[int, int, int, bool]] = []
    arguments: list[t.Any] = []
    for job in jobs:
        call = job.call
        if (job.queue, call.script) not in sets:
            snapshots = runner.keys("result", job.queue, "")
            key_ranges.append((len(keys) + 1, len(keys) + len(call.keys), snapshots))
            sets[job.queue, call.script] = len(key_ranges)
            keys += call.keys
        adds.append((_ADDER_NUMBERS[call.script], sets[job.queue, call.script], len(call.args), job.is_plain))
        arguments += call.args
    request = idempotency.request if idempotency else ""
    head = pack([idempotency is not None, request, IDEMPOTENCY_LIFE, key_ranges, adds])
    try:
        answer = await runner.run_composed(_LUA, keys, [head, *arguments])
    except RedisError as exc:
        if _REUSED in str(exc):
            raise IdempotencyKeyReused from None
        raise
    status, detail = answer
    if status < 0:
        raise UnusableParent(detail - 1, is_gone=status == _PARENT_GONE)
    return [AddResult(result[1:], result[0] == "1", bool(status)) for result in detail]
