"""The accounts of the dashboard, in the Redis of --redis-url: all server processes share them."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
import typing as t

from pydantic import BaseModel, ConfigDict, ValidationError

from nextmq_handler.errors import ConfigurationError
from nextmq_handler.protocol.clocks import monotonic

from ..projects.roles import Role
from ..redis.connection import RedisConnection

_PREFIX = "nextmq:server:dashboard"
USERS, SESSION_KEY, ONCE, TRIES = f"{_PREFIX}:users", f"{_PREFIX}:key", f"{_PREFIX}:once:", f"{_PREFIX}:tries:"
"""The names of the keys in Redis: a hash of the users, the key that signs sessions, links, failed logins."""

MAX_NAME = 64
"""The longest name of a user, in characters."""

MIN_PASSWORD, MAX_PASSWORD = 10, 1024
"""The shortest and the longest password, in characters."""

MAX_USERS = 1000
"""How many users there may be."""

CACHE_LIFE = 5.0
"""How long, in s, a process goes on with what it read of a user: a removal takes so long to be felt."""

ONCE_LIFE = 600
"""How long, in s, the link that logs in once is good."""

MAX_TRIES, TRIES_WINDOW = 5, 900
"""How many wrong passwords a name, and an address, may send within so many s."""

EVERY_PROJECT = "*"
"""Stands for all projects in the roles of a user."""

_COST = {"n": 2**14, "r": 8, "p": 1}

# KEYS: the counters of failed logins. ARGV: the window in s. Returns the largest count, this try included.
_COUNT_TRY = """
local most = 0
for _, key in ipairs(KEYS) do
  local count = redis.call('INCR', key)
  if count == 1 then redis.call('EXPIRE', key, ARGV[1]) end
  most = math.max(most, count)
end
return most
"""


class StoredUser(BaseModel):
    """A user as Redis holds it: the salted hash of the password (None: it has none), and a role per project.

    `version` changes with the password: sessions of the one before end.
    """

    model_config = ConfigDict(extra="ignore")

    password: str | None = None
    roles: dict[str, Role]
    version: str


class User(t.NamedTuple):
    """A person who is logged in: a user, or the holder of an API key. `roles` are by project."""

    name: str
    roles: t.Mapping[str, Role]
    kind: str = "user"

    def role(self, project: str) -> Role | None:
        """Return the role in a project; None if the project is hidden."""
        return self.roles.get(project) or self.roles.get(EVERY_PROJECT)


class TooManyTries(Exception):
    """Too many wrong passwords for this name or from this address. `retry_after` is s."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"too many wrong passwords: wait {retry_after} s")
        self.retry_after = retry_after


class Users:
    """Reads and changes the users. Each call raises RedisError or ConnectionLost. `clock` is monotonic, in s."""

    def __init__(self, connection: RedisConnection, *, clock: t.Callable[[], float] = monotonic) -> None:
        self._connection = connection
        self._clock = clock
        self._known: dict[str, tuple[float, StoredUser | None]] = {}
        self._session_key: str | None = None

    async def get(self, name: str) -> StoredUser | None:
        """Return a user, as it was within the last CACHE_LIFE s; None if nobody has this name."""
        now = self._clock()
        read_at, user = self._known.get(name, (now - CACHE_LIFE, None))
        if now - read_at >= CACHE_LIFE:
            user = _read(await self._connection.execute("HGET", USERS, name))
            if len(self._known) >= MAX_USERS:
                self._known.clear()
            self._known[name] = now, user
        return user

    async def all(self) -> dict[str, StoredUser]:
        """Return the users by name."""
        flat: list[str] = await self._connection.execute("HGETALL", USERS)
        found = zip(flat[::2], map(_read, flat[1::2]), strict=True)
        return {name: user for name, user in sorted(found, key=lambda item: item[0]) if user is not None}

    async def put(self, name: str, roles: t.Mapping[str, Role], password: str | None) -> None:
        """Create a user, or change the one of this name: sessions end. Raises ConfigurationError."""
        check_name(name)
        others = (await self.all()).keys() - {name}
        if len(others) >= MAX_USERS:
            raise ConfigurationError(f"there are {MAX_USERS} users already: remove one")
        hashed = None if password is None else await hash_password(password)
        user = StoredUser(password=hashed, roles=dict(roles), version=secrets.token_hex(8))
        await self._connection.execute("HSET", USERS, name, user.model_dump_json())
        self._known.pop(name, None)

    async def remove(self, name: str) -> bool:
        """Remove a user; return whether there was one."""
        self._known.pop(name, None)
        return bool(await self._connection.execute("HDEL", USERS, name))

    async def check(self, name: str, password: str, address: str) -> StoredUser | None:
        """Return the user with this name and password; None if one is wrong. The time does not tell which.

        `address` is the caller's. Raises TooManyTries.
        """
        keys = [f"{TRIES}name:{name[:MAX_NAME]}", f"{TRIES}address:{address}"]
        # Counted before the look, so that tries side by side are not free.
        count = int(await self._connection.execute("EVAL", _COUNT_TRY, len(keys), *keys, TRIES_WINDOW))
        if count > MAX_TRIES:
            left = [int(await self._connection.execute("TTL", key)) for key in keys]
            raise TooManyTries(max(1, *left))
        user = _read(await self._connection.execute("HGET", USERS, name)) if len(name) <= MAX_NAME else None
        right = await _is_password(password, (user and user.password) or _NOBODY)
        if user is None or user.password is None or not right:
            return None
        await self._connection.execute("DEL", *keys)
        return user

    async def new_once(self, name: str) -> str:
        """Return a word that logs the user in once, within ONCE_LIFE s."""
        word = secrets.token_urlsafe(24)
        await self._connection.execute("SET", ONCE + _digest(word), name, "EX", ONCE_LIFE)
        return word

    async def take_once(self, word: str) -> str | None:
        """Return whom this word logs in, for the first time that it is shown."""
        return t.cast("str | None", await self._connection.execute("GETDEL", ONCE + _digest(word)))

    async def session_key(self) -> str:
        """Return the key that signs sessions; the first process that asks makes it."""
        if self._session_key is None:
            new = secrets.token_hex(32)
            await self._connection.execute("SET", SESSION_KEY, new, "NX")
            self._session_key = t.cast("str", await self._connection.execute("GET", SESSION_KEY))
        return self._session_key


def check_name(name: str) -> None:
    """Raise ConfigurationError unless a user may have this name."""
    if not (0 < len(name) <= MAX_NAME and name.isprintable() and name.strip() == name):
        raise ConfigurationError(f"the name of a user has 1 to {MAX_NAME} printable characters")


async def hash_password(password: str) -> str:
    """Return the salted hash of a password. Raises ConfigurationError for one that is too short or too long."""
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        raise ConfigurationError(f"a password has {MIN_PASSWORD} to {MAX_PASSWORD} characters")
    salt = secrets.token_hex(16)
    return f"{salt}:{await asyncio.to_thread(_scrypt, password, salt)}"


async def _is_password(password: str, stored: str) -> bool:
    salt, _, hashed = stored.partition(":")
    found = await asyncio.to_thread(_scrypt, password[:MAX_PASSWORD], salt)
    return hmac.compare_digest(found, hashed)


def _scrypt(password: str, salt: str) -> str:
    data = password.encode("utf-8", "surrogatepass")
    return hashlib.scrypt(data, salt=salt.encode(), n=_COST["n"], r=_COST["r"], p=_COST["p"]).hex()


def _digest(word: str) -> str:
    return hashlib.sha256(word.encode("utf-8", "surrogatepass")).hexdigest()


def _read(text: str | None) -> StoredUser | None:
    try:
        return StoredUser.model_validate_json(text or "null")
    except ValidationError:  # any client of Redis may have written there
        return None


_NOBODY = "0" * 32 + ":"  # what a password is compared with if there is no such user
