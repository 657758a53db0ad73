"""Where Redis is, as --redis-url says it: one host, several, or what Sentinels tell."""

from __future__ import annotations

import asyncio
import re
import ssl
import typing as t
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from nextmq_handler.errors import ConfigurationError

_SCHEMES = ("redis", "rediss", "unix", "redis+sentinel", "rediss+sentinel")
_PORT, _SENTINEL_PORT = 6379, 26379

Protocol = t.TypeVar("Protocol", bound=asyncio.BaseProtocol)


class Place(t.NamedTuple):
    """Where to connect to: a host and its port, or a Unix socket."""

    host: str
    port: int
    path: str | None = None

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return self.path or f"{host}:{self.port}"


class RedisCredentials(t.NamedTuple):
    """A user and a password, each "" where there is none. Its repr shows no password."""

    username: str
    password: str

    def __repr__(self) -> str:
        return f"<RedisCredentials {self.username}>"

    def commands(self) -> list[tuple[str, ...]]:
        """What a connection starts with."""
        if not self.password:
            return []
        return [("AUTH", self.username, self.password) if self.username else ("AUTH", self.password)]


class Address:
    """Where Redis is: `redis://`, `rediss://` (TLS) or `unix://`. Its repr shows no password.

    Of several hosts, `redis://a:6379,b:6379/0`, the one that is the primary is used. `redis+sentinel://a,b/main/0`,
    and `rediss+sentinel://`, name Sentinels, which know where the primary of the `service` "main" is;
    `?sentinel_username=…&sentinel_password=…` are for the Sentinels themselves.
    `?ssl_ca_certs=FILE` trusts the certificate authorities in that PEM file instead of the system's.
    """

    def __init__(self, url: str) -> None:
        scheme, parts, urls = _split(url)
        is_sentinel = scheme.endswith("+sentinel")
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if scheme == "unix":
            database = query.get("db", "")
            self.places: tuple[Place, ...] = (Place("", 0, unquote(parts.path)),)
        else:
            database = parts.path.strip("/")
            port = _SENTINEL_PORT if is_sentinel else _PORT
            self.places = tuple(Place(each.hostname or "127.0.0.1", each.port or port) for each in urls)
        self.service: str | None = None
        if is_sentinel:
            service, _, database = database.partition("/")
            if not service:
                raise ConfigurationError("--redis-url names no service: redis+sentinel://HOST:26379/SERVICE")
            self.service = unquote(service)
        if database and not database.isdecimal():
            raise ConfigurationError("--redis-url names a database that is not a number")
        self.database = int(database or 0)
        self.credentials = RedisCredentials(unquote(parts.username or ""), unquote(parts.password or ""))
        self.sentinel_credentials = RedisCredentials(
            query.get("sentinel_username", ""), query.get("sentinel_password", "")
        )
        self.tls = _tls_context(query.get("ssl_ca_certs")) if scheme.startswith("rediss") else None

    def __repr__(self) -> str:
        where = ",".join(map(str, self.places))
        if self.service is not None:
            where = f"{self.service} of {where}"
        return f"<Address {where} db={self.database}>"

    def greeting(self) -> list[tuple[str | int, ...]]:
        """The commands that a new connection starts with."""
        commands: list[tuple[str | int, ...]] = [*self.credentials.commands()]
        if self.database:
            commands.append(("SELECT", self.database))
        return commands

    async def connect(self, place: Place, protocol: t.Callable[[], Protocol]) -> Protocol:
        """A protocol connected to `place`. Raises OSError, or ValueError for what can be no host or path."""
        loop = asyncio.get_running_loop()
        if place.path is not None:
            _, connected = await loop.create_unix_connection(protocol, place.path)
        else:
            _, connected = await loop.create_connection(protocol, place.host, place.port, ssl=self.tls)
        return connected


def _split(url: str) -> tuple[str, SplitResult, list[SplitResult]]:
    """The scheme, the URL of the first host, and the URL of each."""
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in _SCHEMES:
        raise ConfigurationError(
            "--redis-url must start with redis://, rediss://, unix://, redis+sentinel:// or rediss+sentinel://"
        )
    authority, tail = t.cast("re.Match[str]", re.match(r"([^/?#]*)(.*)", rest, re.DOTALL)).groups()
    user, at, hosts = authority.rpartition("@")
    names = hosts.split(",")
    if len(names) > 1 and not all(names):
        raise ConfigurationError("--redis-url has a comma with no host beside it")
    try:
        urls = [urlsplit(f"{scheme}://{user}{at}{name}{tail}") for name in names]
        _ = [each.port for each in urls]  # read here, where what it raises is told
    except ValueError:
        raise ConfigurationError("--redis-url is not a URL: its host or port cannot be read") from None
    return scheme, urls[0], urls


def _tls_context(authorities: str | None) -> ssl.SSLContext:
    """What trusts the certificate authorities in that PEM file only; without one, those of the system."""
    try:
        return ssl.create_default_context(cafile=authorities)
    except OSError as exc:  # SSLError is one
        raise ConfigurationError(
            f"--redis-url: ssl_ca_certs={authorities} is not a readable PEM file with certificates: {exc.strerror}"
        ) from None
