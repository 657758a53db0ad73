"""The scripts that every job runs, as functions of Redis.

Each call of a BullMQ script defines some forty Lua functions again. A function of Redis (7.0 and newer) defines
them once, when it is loaded. If Redis has no functions, or refuses to load one, the same Lua runs as a script.
"""

from __future__ import annotations

import functools
import hashlib
import re
import typing as t

from ...redis.connection import RedisError
from .scripts import ScriptRunner, arguments, as_function, source_of

_DEFINITION = re.compile(r"local function |local \w+ = function")


class HotScript:
    """Lua `work` that may call these `scripts` of BullMQ as functions.

    With `needs_memory`, Redis refuses it when its memory is full.
    """

    def __init__(self, name: str, scripts: t.Sequence[str], work: str, *, needs_memory: bool) -> None:
        self.name = name
        self._source = "".join(map(as_function, scripts)) + work
        # Another version is another function: servers of both versions may run at the same time.
        self._id = f"{name}_{hashlib.sha256(self._source.encode()).hexdigest()[:16]}"
        self._library = f"""#!lua name={self._id}
local rcall
{"".join(map(_as_lasting_function, scripts))}
local function run(KEYS, ARGV)
rcall = redis.call
{work}
end
redis.register_function{{
  function_name = '{self._id}', callback = run, flags = {{{"" if needs_memory else "'allow-oom'"}}}
}}
"""

    async def load(self, runner: ScriptRunner) -> None:
        """Load it, so that `runner` can call it by its name. Raises RedisError or ConnectionLost."""
        try:
            await runner.connection.execute("FUNCTION", "LOAD", self._library)
        except RedisError as exc:
            if "already exists" not in str(exc):
                runner.commands[self.name] = runner.command(self._source)
                return
        runner.commands[self.name] = functools.partial(self._call, runner)

    async def _call(self, runner: ScriptRunner, keys: t.Sequence[str], args: t.Sequence[t.Any]) -> t.Any:
        try:
            return await runner.connection.execute("FCALL", self._id, *arguments(keys, args))
        except RedisError as exc:
            if str(exc).startswith("NOPERM"):
                runner.commands[self.name] = runner.command(self._source)
            elif "Function not found" in str(exc):  # Redis was restarted or its functions were flushed
                await self.load(runner)
            else:
                raise
        return await runner.commands[self.name](keys=keys, args=args)


def _as_lasting_function(script: str) -> str:
    """Return the same as `as_function`, but define the script's own functions only once."""
    functions: list[str] = []
    body: list[str] = []
    is_inside = False
    for line in source_of(script).splitlines():
        is_inside = is_inside or _DEFINITION.match(line) is not None
        (functions if is_inside else body).append(line)
        is_inside = is_inside and line.rstrip() != "end"
    lines = [f"local {script}", "do", *functions, f"{script} = function(KEYS, ARGV)", *body, "end", "end", ""]
    return "\n".join(lines)
