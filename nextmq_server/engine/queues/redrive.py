"""Redrive: put the jobs of dead letters back into the queues they came from, each in one step.

A job that is still there is retried. A job that is gone is added again.
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
import typing as t
from dataclasses import replace

from nextmq_handler.rules.bodies import RedriveBody
from nextmq_handler.rules.dead_letters import DeadLetter, read_dead_letter, redriven_options
from nextmq_handler.rules.job_ids import is_custom_id
from nextmq_handler.rules.limits import MAX_PRIORITY

from ..scripts.packers import ScriptCall
from ..scripts.scripts import QueueScripts, as_function
from .adding import JobToAdd
from .jobs import Jobs, decoded
from .retrying import RETRY, retry_call
from .snapshots import snapshot_key

_STATES = ("wait", "paused", "prioritized", "delayed", "completed", "failed")
_KEPT_STATES = ("active", "waiting-children")
_PAGE = 100

_Act = t.Callable[[QueueScripts, str, str, DeadLetter], t.Awaitable[bool]]
"""Does something with a dead letter: the scripts of its queue, its id, its data as stored and as read."""

# KEYS: the 2 of removeJob (dead letter, repeat); the dead letter's lock; the active and the waiting-children jobs
# of its queue; the 9 of reprocessJob (the job, …); the job's snapshot; those of the script that adds the job.
# ARGV: SHA-1 of the dead letter's data; the script that adds the job; the 3 of removeJob; the 6 of reprocessJob;
# the job's name; the script's first argument with the job's first id or ""; its arguments with a new id.
REDRIVE = (
    RETRY
    + as_function("addStandardJob")
    + as_function("addPrioritizedJob")
    + """
local dead_letter, job, snapshot, id = KEYS[1], KEYS[6], KEYS[15], ARGV[3]
local data = redis.call('HGET', dead_letter, 'data')
if not data or redis.sha1hex(data) ~= ARGV[1] then return 0 end
if redis.call('EXISTS', KEYS[3]) == 1 then return 0 end
if redis.call('LPOS', KEYS[4], id) or redis.call('ZSCORE', KEYS[5], id) then return 0 end
local keys, arguments = {unpack(KEYS, 16)}, {unpack(ARGV, 14)}

local function is_of(letters)
  for _, letter in ipairs(letters) do
    if letter[1] == ARGV[5] and letter[2] == id then return true end
  end
end

local letters = redis.call('TYPE', job).ok == 'hash' and letters_of(job) or {}
if is_of(letters) then
  -- The job is still there. If it is not failed any more, the failure has been dealt with.
  if is_of({letters[#letters]}) and redis.call('ZSCORE', KEYS[8], ARGV[6]) then
    redis.call('HSET', job, 'name', ARGV[12], 'data', arguments[2])
    retry({unpack(KEYS, 6, 14)}, {unpack(ARGV, 6, 11)}, snapshot)
  end
else
  if ARGV[13] ~= '' and redis.call('EXISTS', job) == 0 then
    arguments[1] = ARGV[13]
    redis.call('DEL', snapshot)
  end
  local add = ARGV[2] == 'addPrioritizedJob' and addPrioritizedJob or addStandardJob
  add(keys, arguments)
end
removeJob({KEYS[1], KEYS[2]}, {ARGV[3], ARGV[4], ARGV[5]})
return 1
"""
)
"""The script that redrives a dead letter. Its call is `redrive_call`."""


class Redriver:
    """Redrives the dead letters of queues. It awaits `note` with the queues that get jobs, before they do."""

    def __init__(self, jobs: Jobs, *, note: t.Callable[[set[str]], t.Awaitable[None]]) -> None:
        self._jobs = jobs
        self._note = note

    async def redrive(self, queue: str, wanted: RedriveBody, *, now: int) -> dict[str, str]:
        """Redrive the wanted dead letters in `queue`, oldest first.

        Returns the target queue of each by the id of the dead letter. Dead letters that a worker has locked stay,
        and other jobs too. `now` is ms since the epoch. Raises RedisError or ConnectionLost: what was redriven
        before the error stays so.
        """
        return await self._each(queue, wanted, functools.partial(self._send_back, now=now), stays=False)

    async def matching(self, queue: str, wanted: RedriveBody, *, now: int) -> int:
        """Count the dead letters that `redrive` would send back now. Raises RedisError or ConnectionLost."""
        return len(await self._each(queue, wanted, functools.partial(self._may_go_back, now=now), stays=True))

    async def _each(self, queue: str, wanted: RedriveBody, act: _Act, *, stays: bool) -> dict[str, str]:
        """Return the wanted dead letters for which `act` returns true; `stays` if they are in the queue then."""
        scripts = self._jobs.scripts(queue)
        if wanted.ids is not None:
            return await self._some(scripts, list(dict.fromkeys(wanted.ids)), wanted, wanted.limit, act)
        found: dict[str, str] = {}
        for state in _STATES:
            start = 0
            while len(found) < wanted.limit:
                ids: list[str] = await scripts.pack.getRanges([state], start, start + _PAGE - 1, True)
                if not ids:
                    break
                acted = await self._some(scripts, ids, wanted, wanted.limit - len(found), act)
                found |= acted
                start += len(ids) if stays else len(ids) - len(acted)
        return found

    async def _some(
        self, scripts: QueueScripts, ids: t.Sequence[str], wanted: RedriveBody, limit: int, act: _Act
    ) -> dict[str, str]:
        found: dict[str, str] = {}
        for first in range(0, len(ids), _PAGE):
            page = ids[first : first + _PAGE]
            stored = await asyncio.gather(
                *(scripts.fields(dead_letter_id, "data", "rjk") for dead_letter_id in page)
            )
            for dead_letter_id, (text, scheduler) in zip(page, stored, strict=True):
                if text is None or scheduler:
                    continue
                dead_letter = read_dead_letter(decoded(text))
                if dead_letter is None or dead_letter["queue"] == scripts.queue or not wanted.selects(dead_letter):
                    continue
                if len(found) == limit:
                    return found
                if wanted.has_data:
                    dead_letter["data"] = wanted.data
                if await act(scripts, dead_letter_id, text, dead_letter):
                    found[dead_letter_id] = dead_letter["queue"]
        return found

    async def _may_go_back(
        self, scripts: QueueScripts, dead_letter_id: str, _text: str, dead_letter: DeadLetter, *, now: int
    ) -> bool:
        if _calls(self._jobs.scripts(dead_letter["queue"]), dead_letter, now) is None:
            return False
        return await scripts.pack.getState(dead_letter_id) not in _KEPT_STATES

    async def _send_back(
        self, scripts: QueueScripts, dead_letter_id: str, text: str, dead_letter: DeadLetter, *, now: int
    ) -> bool:
        made = redrive_call(self._jobs, scripts, dead_letter_id, text, dead_letter, now)
        if made is None:
            return False
        await self._note({dead_letter["queue"]})
        return bool(await scripts.run_composed(REDRIVE, *made))


def redrive_call(
    jobs: Jobs, scripts: QueueScripts, dead_letter_id: str, text: str, dead_letter: DeadLetter, now: int
) -> tuple[list[str], list[t.Any]] | None:
    """Return keys and arguments of REDRIVE for a dead letter in the queue of `scripts`, stored as `text`.

    None for another client's data in the shape of a dead letter.
    """
    target = jobs.scripts(dead_letter["queue"])
    calls = _calls(target, dead_letter, now)
    if calls is None:
        return None
    call, with_first_id = calls
    is_next = bool(dead_letter["opts"].get("lifo"))
    retry_keys, retry_args = retry_call(target, dead_letter["id"], "failed", is_next=is_next, resets=(True, True))
    keys = [
        *(scripts.key(dead_letter_id), scripts.keys["repeat"], scripts.key(dead_letter_id, "lock")),
        *scripts.all_keys("active", "waiting-children"),
        *retry_keys,
        snapshot_key(target, dead_letter["id"]),
        *call.keys,
    ]
    digest = hashlib.sha1(text.encode("utf-8", "surrogateescape"), usedforsecurity=False).hexdigest()
    args = [
        *(digest, call.script, dead_letter_id, "0", scripts.keys[""]),
        *retry_args,
        dead_letter["name"],
        with_first_id.args[0] if with_first_id else "",
        *call.args,
    ]
    return keys, args


def _calls(target: QueueScripts, dead_letter: DeadLetter, now: int) -> tuple[ScriptCall, ScriptCall | None] | None:
    """Return the calls that add the job again with a new id, and with its first one if that was a custom id.

    None for another client's data in the shape of a dead letter: no job ever had such options.
    """
    new = _new_job(target, dead_letter, now)
    first = replace(new, data=None, job_id=dead_letter["id"]) if is_custom_id(dead_letter["id"]) else None
    priority = new.opts.get("priority")
    if priority and not (isinstance(priority, int) and 0 < priority <= MAX_PRIORITY):
        return None
    if not new.is_possible or (first and not first.is_possible):
        return None
    return new.call, first.call if first else None


def _new_job(target: QueueScripts, dead_letter: DeadLetter, now: int) -> JobToAdd:
    opts = redriven_options(dead_letter)
    return JobToAdd(target.prefix, target.queue, dead_letter["name"], dead_letter["data"], opts, now)
