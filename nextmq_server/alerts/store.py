"""What Redis holds of alerts: the rules, what has fired, and the messages on their way."""

from __future__ import annotations

import json
import typing as t

from pydantic import ValidationError

from ..engine.scripts.scripts import ScriptRunner, fields_of
from .judge import Firing
from .messages import QueuedMessage
from .rules import DEFAULTS, MAX_RULES, AlertRule

JUDGE_LIFE = 30_000
"""For how long, in ms, one process alone judges after it has judged last."""

CLAIM_LIFE = 60_000
"""For how long, in ms, a message is one process's to send; after that another one sends it."""

MAX_WAITING_MESSAGES = 1000
"""How many messages may wait to be sent; more are lost, and the log says so."""

AT_ONCE = 20
"""How many messages a process sends at the same time."""

# KEYS: the marker, the rules. ARGV: the default rules, each name followed by the rule.
_SEED = """
if redis.call('SETNX', KEYS[1], '1') == 1 then redis.call('HSET', KEYS[2], unpack(ARGV)) end
"""

# KEYS: the rules. ARGV: the name, the rule, MAX_RULES.
_PUT = """
local is_new = redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0
if is_new and redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[3]) then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
return 1
"""

# The scripts below begin with the removal of nothing: after that Redis lets them write even if its memory is full,
# which is what an alert may be about.
# KEYS: the judge. ARGV: the process, JUDGE_LIFE. Returns 1 if the process is the one that judges.
_LEAD = """
redis.call('HDEL', KEYS[2], '')
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""

# KEYS: the judge, the states, the messages. ARGV: the process, MAX_WAITING_MESSAGES, and what to do as JSON.
# Returns how many messages were lost, -1 if another process judges.
_COMMIT = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return -1 end
redis.call('ZREM', KEYS[3], '')
local work, lost = cjson.decode(ARGV[3]), 0
for _, name in ipairs(work.over) do redis.call('HDEL', KEYS[2], name) end
for name, state in pairs(work.states) do redis.call('HSET', KEYS[2], name, state) end
for _, message in ipairs(work.messages) do
  if redis.call('ZCARD', KEYS[3]) < tonumber(ARGV[2]) then redis.call('ZADD', KEYS[3], 0, message)
  else lost = lost + 1 end
end
return lost
"""

_NOW = """
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
"""

# KEYS: the messages. ARGV: how many, CLAIM_LIFE. Returns the messages that are this process's to send.
_CLAIM = f"""{_NOW}
redis.call('ZREM', KEYS[1], '')
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[1])
for _, message in ipairs(due) do redis.call('ZADD', KEYS[1], now + ARGV[2], message) end
return due
"""

# KEYS: the messages. ARGV: one that was not sent, what to keep instead, in how many ms to send that.
_LATER = f"""{_NOW}
if redis.call('ZREM', KEYS[1], ARGV[1]) == 1 then redis.call('ZADD', KEYS[1], now + ARGV[3], ARGV[2]) end
"""


class TooManyRules(Exception):
    """The project has MAX_RULES alert rules."""


class AlertStore:
    """The alerts of one project. Each call raises RedisError or ConnectionLost."""

    def __init__(self, scripts: ScriptRunner, process: str) -> None:
        self._scripts = scripts
        self._connection = scripts.connection
        self._process = process
        keys = scripts.keys
        self._rules, self._states, self._messages = keys("alerts"), keys("alert-states"), keys("alert-messages")
        self._judge, self._seeded = keys("alerts-judge"), keys("alerts-seeded")

    async def seed(self) -> None:
        """Give a project that had no rules ever the default ones."""
        flat = [text for name, rule in DEFAULTS.items() for text in (name, _dump(rule))]
        await self._scripts.run_composed(_SEED, [self._seeded, self._rules], flat)

    async def rules(self) -> dict[str, AlertRule]:
        """Return the rules by name. One that cannot be read, as of a newer version, is left out."""
        found = fields_of(await self._connection.execute("HGETALL", self._rules))
        rules = {name: _read(AlertRule, text) for name, text in sorted(found.items())}
        return {name: rule for name, rule in rules.items() if rule is not None}

    async def put(self, name: str, rule: AlertRule) -> None:
        """Create or replace a rule. Raises TooManyRules."""
        if not await self._scripts.run_composed(_PUT, [self._rules], [name, _dump(rule), MAX_RULES]):
            raise TooManyRules

    async def remove(self, name: str) -> bool:
        """Remove a rule; return whether there was one. What it found is forgotten at the next look."""
        return bool(await self._connection.execute("HDEL", self._rules, name))

    async def lead(self) -> bool:
        """Return whether this process is the one that judges."""
        return bool(
            await self._scripts.run_composed(_LEAD, [self._judge, self._states], [self._process, JUDGE_LIFE])
        )

    async def states(self) -> dict[str, dict[str, Firing]]:
        """Return what was found, by rule and queue ("" for Redis)."""
        states: dict[str, dict[str, Firing]] = {}
        for name, text in fields_of(await self._connection.execute("HGETALL", self._states)).items():
            rule, _, queue = name.partition(":")
            state = _read(Firing, text)
            if state is not None:
                states.setdefault(rule, {})[queue] = state
        return states

    async def commit(
        self, states: t.Mapping[str, Firing], over: t.Iterable[str], messages: t.Iterable[QueuedMessage]
    ) -> int:
        """Keep the states, by "rule:queue", forget those that are `over`, and send the messages: all or nothing.

        Returns how many messages were lost because too many wait.
        """
        work = {
            "states": {name: _dump(state) for name, state in states.items()},
            "over": list(over),
            "messages": [_dump(message) for message in messages],
        }
        keys = [self._judge, self._states, self._messages]
        args = [self._process, MAX_WAITING_MESSAGES, json.dumps(work)]
        lost: int = await self._scripts.run_composed(_COMMIT, keys, args)
        return max(0, lost)

    async def claim(self) -> list[tuple[str, QueuedMessage]]:
        """Return messages that are due, each with its text in Redis: for CLAIM_LIFE no other process gets them."""
        texts: list[str] = await self._scripts.run_composed(_CLAIM, [self._messages], [AT_ONCE, CLAIM_LIFE])
        found = [(text, _read(QueuedMessage, text)) for text in texts]
        return [(text, message) for text, message in found if message is not None]

    async def sent(self, text: str) -> None:
        """Forget a message that was claimed."""
        await self._connection.execute("ZREM", self._messages, text)

    async def send_later(self, text: str, message: QueuedMessage, delay: int) -> None:
        """Keep `message` in the place of the one that was claimed as `text`, and send it in `delay` ms."""
        await self._scripts.run_composed(_LATER, [self._messages], [text, _dump(message), delay])


_Model = t.TypeVar("_Model", AlertRule, Firing, QueuedMessage)


def _dump(value: AlertRule | Firing | QueuedMessage) -> str:
    return value.model_dump_json(by_alias=True)


def _read(kind: type[_Model], text: str) -> _Model | None:
    try:
        return kind.model_validate_json(text)
    except ValidationError:
        return None
