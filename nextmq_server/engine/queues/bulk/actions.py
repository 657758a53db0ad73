"""What a bulk operation does to one job: BullMQ's own script, behind a fence, once for each job."""

from __future__ import annotations

import functools
import typing as t

from nextmq_handler.rules.dead_letters import read_dead_letter
from nextmq_handler.rules.search.bulk import BulkAction

from ...scripts.scripts import source_of
from ..jobs import Jobs, decoded
from ..redrive import REDRIVE, redrive_call
from ..retrying import RETRY_ONE, retry_call
from ..search.sources import Hit, Source
from ..snapshots import REMOVE, remove_call, snapshot_key
from .operations import FENCE, SKIPPED, Operation

MARK = "nextmq:bulk"
"""The field of a job's hash that names the bulk operation that came by last: none does a job twice."""

FIELDS: dict[BulkAction, tuple[str, ...]] = {"retry": ("opts",), "redrive": ("data", "rjk")}
"""The fields of a job that an action reads."""

DONE, STOP = "done", "stop"
"""What the script answers if it changed the job, and if this process does not run the operation (any more)."""

_SOURCES: dict[BulkAction, t.Callable[[], str]] = {
    "retry": lambda: RETRY_ONE,
    "promote": lambda: source_of("promote"),
    "remove": lambda: REMOVE,
    "redrive": lambda: REDRIVE,
    "priority": lambda: source_of("changePriority"),
    "delay": lambda: source_of("changeDelay"),
}

# KEYS: the operation, its lock, the job, the set it was found in; those of the action's script. ARGV: the token,
# the operation's id, the job's id, the score that it was found with or "", the position among the ids or "", what
# the script answers for a job that it changed, "1" if the job must not have ended; the script's arguments.
_ACT = (
    FENCE
    + f"""
local op, lock, job = KEYS[1], KEYS[2], KEYS[3]
local token, mark, id, score, position, changed, is_open = unpack(ARGV, 1, 7)
if not is_ours(op, lock, token) then return 'stop' end
if position ~= '' then
  if tonumber(redis.call('HGET', op, 'next') or 0) >= tonumber(position) then return 'again' end
  redis.call('HSET', op, 'next', position)
end

local function left(reason)
  redis.call('HINCRBY', op, 'matching', 1)
  redis.call('HINCRBY', op, '{SKIPPED}' .. reason, 1)
  return reason
end

if redis.call('TYPE', job).ok ~= 'hash' or redis.call('HEXISTS', job, 'timestamp') == 0 then
  return left('gone')
end
if position == '' and redis.call('HGET', job, '{MARK}') == mark then return 'again' end
redis.call('HSET', job, '{MARK}', mark)
if score ~= '' and redis.call('ZSCORE', KEYS[4], id) ~= score then return left('changed') end
if is_open == '1' and redis.call('HEXISTS', job, 'finishedOn') == 1 then return left('state') end
local answer = tostring(act({{unpack(KEYS, 5)}}, {{unpack(ARGV, 8)}}))
if answer == changed then
  redis.call('HINCRBY', op, 'matching', 1)
  redis.call('HINCRBY', op, 'done', 1)
  return 'done'
end
if answer == '-1' then return left('gone') end
if answer == '-3' then return left('state') end
if answer == '-8' then return left('scheduled') end
return left(answer == '0' and 'locked' or 'refused')
"""
)


@functools.cache
def _script(action: BulkAction | None) -> str:
    """Return the script that does the action to one job; without an action it leaves the job alone."""
    source = _SOURCES[action]() if action else "return 'refused'"
    return f"local function act(KEYS, ARGV)\n{source}\nend\n{_ACT}"


class Actor:
    """Does what an operation does, as the process with `token`."""

    def __init__(
        self, jobs: Jobs, operation: Operation, keys: t.Sequence[str], token: str, now: t.Callable[[], int]
    ) -> None:
        self._jobs = jobs
        self._operation = operation
        self._keys = keys
        self._token = token
        self._now = now
        self._scripts = jobs.scripts(operation.queue)

    async def act(self, source: Source, hit: Hit, position: int | None = None) -> str:
        """Change one job, if it still is as it was found. `position` is that among the operation's ids, from 1.

        Return DONE, STOP, or why the job was left alone: "again" if the operation came by earlier. Raises
        RedisError or ConnectionLost.
        """
        action = self._operation.action
        call = self._call(source, hit)
        keys, args, changed = call or ([], [], "")
        score = "" if source.is_list or position is not None else hit.score
        fence = [
            self._token,
            self._operation.id,
            hit.id,
            score,
            position or "",
            changed,
            int(action == "priority"),
        ]
        answer: str = await self._scripts.run_composed(
            _script(action if call else None),
            [*self._keys, self._scripts.key(hit.id), self._scripts.keys[source.name], *keys],
            [*fence, *args],
        )
        return answer

    def targets(self, hits: t.Iterable[Hit]) -> set[str]:
        """Return the queues that dead letters go back to."""
        letters = (read_dead_letter(decoded(hit.fields.get("data"))) for hit in hits)
        return {letter["queue"] for letter in letters if letter is not None}

    def _call(self, source: Source, hit: Hit) -> tuple[list[str], list[t.Any], str] | None:
        """Return keys and arguments of the action's script, and its answer for a job that it changed."""
        scripts, options = self._scripts, self._operation.options
        match self._operation.action:
            case "retry":
                opts = decoded(hit.fields.get("opts"))
                is_next = bool(isinstance(opts, dict) and t.cast("dict[str, t.Any]", opts).get("lifo"))
                reset = bool(options["resetAttempts"])
                keys, args = retry_call(scripts, hit.id, source.name, is_next=is_next, resets=(reset, reset))
                return [*keys, snapshot_key(scripts, hit.id)], args, "1"
            case "promote":
                keys, args = scripts.pack.promoteArgs(hit.id)
                return list(keys), list(args), "0"
            case "remove":
                keys, args = remove_call(scripts, hit.id, with_children=False)
                return keys, args, "1"
            case "priority":
                keys = scripts.all_keys("wait", "paused", "meta", "prioritized", "active", "pc", "marker")
                return keys, [options["priority"], scripts.keys[""], hit.id, 0], "0"
            case "delay":
                keys = scripts.all_keys("delayed", "meta", "marker", "events")
                return keys, [options["delay"], self._now(), hit.id, scripts.key(hit.id)], "0"
            case "redrive":
                return self._redrive_call(hit)
            case _:
                t.assert_never(self._operation.action)

    def _redrive_call(self, hit: Hit) -> tuple[list[str], list[t.Any], str] | None:
        text = hit.fields.get("data")
        dead_letter = None if text is None or hit.fields.get("rjk") else read_dead_letter(decoded(text))
        if text is None or dead_letter is None or dead_letter["queue"] == self._operation.queue:
            return None
        made = redrive_call(self._jobs, self._scripts, hit.id, text, dead_letter, self._now())
        return None if made is None else (*made, "1")
