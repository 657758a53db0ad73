"""BullMQ's Lua scripts over this server's connection to Redis."""

from __future__ import annotations

import functools
import hashlib
import typing as t
from pathlib import Path

import msgpack
from bullmq import redis_connection as bullmq_scripts

from ...redis.connection import Argument, RedisConnection, RedisError
from ...redis.keys import ProjectKeys
from .packers import packers

pack: t.Callable[..., bytes] = t.cast("t.Any", msgpack).packb
"""Encode options as msgpack, the form that the scripts take."""

pack_raw: t.Callable[[object], bytes] = functools.partial(pack, use_bin_type=False)
"""Encode a request that has bytes: cmsgpack in Redis reads them as it reads text."""

unpack: t.Callable[[bytes], t.Any] = t.cast("t.Any", msgpack).unpackb
"""Decode options that were packed."""

# All scripts of bullmq's distribution; its Python classes call most of them.
_FOLDER = Path(t.cast("t.Any", bullmq_scripts).basePath, "commands")
_FILES = {path.name.partition("-")[0]: path for path in _FOLDER.glob("*.lua")}


@functools.cache
def source_of(script: str) -> str:
    """Return the Lua text of one of BullMQ's scripts."""
    return _FILES[script].read_text()


def arguments(keys: t.Sequence[str], args: t.Sequence[t.Any]) -> list[t.Any]:
    """Return what follows the name in a call of a script or a function. None becomes "", as BullMQ's expect."""
    return [len(keys), *keys, *["" if arg is None else arg for arg in args]]


def flat(fields: t.Mapping[str, str]) -> list[str]:
    """Return the fields of a hash, each followed by its value."""
    return [text for field in fields.items() for text in field]


def fields_of(flat: t.Iterable[str]) -> dict[str, str]:
    """Return the fields of a hash from a list in which each is followed by its value: the inverse of `flat`."""
    texts = iter(flat)
    return dict(zip(texts, texts, strict=True))


def as_function(script: str) -> str:
    """Return a script as a Lua function `script(KEYS, ARGV)`, so that one script can call several."""
    return f"local function {script}(KEYS, ARGV)\n{source_of(script)}\nend\n"


class ScriptRunner:
    """Runs scripts: a script that Redis does not know yet is loaded. bullmq's packers call the `commands`."""

    def __init__(self, connection: RedisConnection, keys: ProjectKeys) -> None:
        self.connection = connection
        self.keys = keys
        self.commands = {name: self.command(source_of(name)) for name in _FILES}

    def command(self, source: str) -> t.Callable[..., t.Awaitable[t.Any]]:
        """Return a function that calls a script. It raises RedisError or ConnectionLost."""
        digest = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()
        return functools.partial(self._run, digest, source)

    def run_composed(self, source: str, keys: t.Sequence[str], args: t.Sequence[t.Any]) -> t.Awaitable[t.Any]:
        """Run a script of this server. Raises RedisError or ConnectionLost."""
        if source not in self.commands:
            self.commands[source] = self.command(source)
        return self.commands[source](keys, args)

    async def _run(self, sha: str, source: str, keys: t.Sequence[str] = (), args: t.Sequence[t.Any] = ()) -> t.Any:
        call = ("EVALSHA", sha, *arguments(keys, args))
        try:
            return await self.connection.execute(*call)
        except RedisError as exc:
            if not str(exc).startswith("NOSCRIPT"):
                raise
        await self.connection.execute("SCRIPT", "LOAD", source)
        return await self.connection.execute(*call)


class QueueScripts:
    """The scripts of one queue: its keys, bullmq's packers (`pack`, untyped) and the call."""

    def __init__(self, runner: ScriptRunner, queue: str, prefix: str) -> None:
        self.queue = queue
        self.prefix = prefix
        self.connection = runner.connection
        self.pack: t.Any = packers(prefix, queue, runner.commands)
        self.keys: dict[str, str] = self.pack.keys
        self.run_composed = runner.run_composed
        self._runner = runner

    def key(self, *names: str) -> str:
        """Return the key of a job, or of a part of it such as its lock."""
        return self.keys[""] + ":".join(names)

    def own_key(self, *names: str) -> str:
        """Return one of this server's keys for the queue: outside BullMQ's key space, so no listing shows it."""
        return self._runner.keys(*names[:1], self.queue, *names[1:])

    def own_prefix(self, name: str) -> str:
        """Return what this server's keys with this name begin with, for all queues."""
        return self._runner.keys(name, "")

    def all_keys(self, *names: str) -> list[str]:
        """Return the queue's keys with these names."""
        return [self.keys[name] for name in names]

    async def fields(self, job_id: str, *names: str) -> list[str | None]:
        """Return fields of a job; None for each if the job does not exist or the id is a key of the queue.

        Raises RedisError or ConnectionLost.
        """
        try:
            return t.cast("list[str | None]", await self.connection.execute("HMGET", self.key(job_id), *names))
        except RedisError as exc:
            if str(exc).startswith("WRONGTYPE"):
                return [None] * len(names)
            raise

    def execute(self, command: str, key: str, *args: Argument) -> t.Awaitable[t.Any]:
        """Run a Redis command on the queue's key of this name. Raises RedisError or ConnectionLost."""
        return self.connection.execute(command, self.keys[key], *args)

    def run(self, script: str, keys: t.Sequence[str], args: t.Sequence[t.Any]) -> t.Awaitable[t.Any]:
        """Run a script of BullMQ and return its raw answer. Raises RedisError or ConnectionLost."""
        return self._runner.commands[script](keys=keys, args=args)
