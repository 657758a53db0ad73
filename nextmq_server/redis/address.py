"""The address of Redis in --redis-url: one host, several hosts, or Sentinels that know the host."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import re
import ssl
import typing as t
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from nextmq_handler.errors import ConfigurationError

_SCHEMES = ("redis", "rediss", "unix", "redis+sentinel", "rediss+sentinel")
_PORT, _SENTINEL_PORT = 6379, 26379

# What a URL may say behind the "?".
_QUERY = {"redis": (), "rediss": ("ssl_ca_certs",), "unix": ("db",)}
_SENTINEL_QUERY = ("sentinel_username", "sentinel_password")

_NO_HOST = re.compile(r"[\s@=;\"'<>|\\]")
_NO_SERVICE = re.compile(r"[:@=,;/]")
_PORT_BEFORE_AT = re.compile(r"\d+(,.*)?")
_SHOWN_PATH = re.compile(r"[^:@,;=?\s]*")

Protocol = t.TypeVar("Protocol", bound=asyncio.BaseProtocol)


class Place(t.NamedTuple):
    """One place to connect to: a host and its port, or a Unix socket."""

    host: str
    port: int
    path: str | None = None

    def __str__(self) -> str:
        if self.path is not None:  # up to what may be a password that was typed behind it
            return t.cast("re.Match[str]", _SHOWN_PATH.match(self.path)).group()
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


class RedisCredentials(t.NamedTuple):
    """A user and a password, "" if not given. The repr does not show the password."""

    username: str
    password: str

    def __repr__(self) -> str:
        return f"<RedisCredentials {self.username}>"

    def commands(self) -> list[tuple[str, ...]]:
        """Return the commands that authenticate a connection."""
        if not self.password:
            return []
        return [("AUTH", self.username, self.password) if self.username else ("AUTH", self.password)]


class Address:
    """The address of Redis: `redis://`, `rediss://` (TLS) or `unix://`. Its texts do not show the password.

    With several hosts, as in `redis://a:6379,b:6379/0`, the server uses the primary. `redis+sentinel://a,b/main/0`
    and `rediss+sentinel://` name Sentinels, which know the primary of the `service` "main";
    `?sentinel_username=…&sentinel_password=…` are for the Sentinels themselves.
    `?ssl_ca_certs=FILE` trusts the certificate authorities in that PEM file instead of the system's.

    Raises ConfigurationError if the URL cannot be used.
    """

    def __init__(self, url: str) -> None:
        scheme, parts, urls = _split(url)
        is_sentinel = scheme.endswith("+sentinel")
        query = _query(scheme, parts)
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
                raise ConfigurationError(
                    "--redis-url does not name the service that the Sentinels watch: use redis+sentinel://HOST:26379/SERVICE"
                )
            self.service = unquote(service)
            if _NO_SERVICE.search(self.service):
                raise ConfigurationError(
                    f"--redis-url has a service name that can be none: {_WHERE_CREDENTIALS_GO}"
                )
        if database and not database.isdecimal():
            raise ConfigurationError(
                "--redis-url names a database that is not a number: end it with one, as in redis://HOST:6379/0"
            )
        self.database = int(database or 0)
        self.credentials = RedisCredentials(unquote(parts.username or ""), unquote(parts.password or ""))
        self.sentinel_credentials = RedisCredentials(
            query.get("sentinel_username", ""), query.get("sentinel_password", "")
        )
        self.tls = _tls_context(query.get("ssl_ca_certs")) if scheme.startswith("rediss") else None
        self._scheme = scheme

    def __str__(self) -> str:
        """Return the URL for messages, without credentials."""
        where = ",".join(map(str, self.places))
        if self._scheme == "unix":
            return f"unix://{where}" + (f"?db={self.database}" if self.database else "")
        path = [str(self.database)] if self.service is None else [self.service, str(self.database)]
        return f"{self._scheme}://{where}/{'/'.join(path)}"

    def __repr__(self) -> str:
        return f"<Address {self}>"

    def greeting(self) -> list[tuple[str | int, ...]]:
        """Return the commands that a new connection sends first."""
        commands: list[tuple[str | int, ...]] = [*self.credentials.commands()]
        if self.database:
            commands.append(("SELECT", self.database))
        return commands

    async def connect(self, place: Place, protocol: t.Callable[[], Protocol]) -> Protocol:
        """Connect a protocol to `place`. Raises OSError, or ValueError if the host or path is not valid."""
        loop = asyncio.get_running_loop()
        if place.path is not None:
            _, connected = await loop.create_unix_connection(protocol, place.path)
        else:
            _, connected = await loop.create_connection(protocol, place.host, place.port, ssl=self.tls)
        return connected


_WHERE_CREDENTIALS_GO = "write a user and a password before the host, as in redis://USER:PASSWORD@HOST:6379"


def _query(scheme: str, parts: SplitResult) -> dict[str, str]:
    """Return what the URL says behind the "?". No name or value of it is told: it may be a password."""
    known = (*_QUERY[scheme.partition("+")[0]], *(_SENTINEL_QUERY if scheme.endswith("+sentinel") else ()))
    query = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
    if parts.fragment or not query.keys() <= {*known}:
        may = f"may have {', '.join(known)} behind the ?" if known else "may have nothing behind the ? or #"
        raise ConfigurationError(f"--redis-url with {scheme}:// {may}: {_WHERE_CREDENTIALS_GO}")
    return query


def _is_host(text: str) -> bool:
    with contextlib.suppress(ValueError):
        return bool(ipaddress.ip_address(text))
    return text == "localhost" or "." in text


def _split(url: str) -> tuple[str, SplitResult, list[SplitResult]]:
    """Return the scheme, the URL of the first host, and the URL of each host."""
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in _SCHEMES:
        raise ConfigurationError(
            "--redis-url must start with redis://, rediss://, unix://, redis+sentinel:// or rediss+sentinel://"
        )
    authority, tail = t.cast("re.Match[str]", re.match(r"([^/?#]*)(.*)", rest, re.DOTALL)).groups()
    user, at, hosts = authority.rpartition("@")
    names = hosts.split(",")
    if len(names) > 1 and not all(names):
        raise ConfigurationError(
            "--redis-url has a comma without a host beside it: write redis://HOST:6379,HOST:6379"
        )
    try:
        urls = [urlsplit(f"{scheme}://{user}{at}{name}{tail}") for name in names]
        _ = [each.port for each in urls]  # raises if it is not a number
    except ValueError:
        raise ConfigurationError(
            "--redis-url is not a URL, its host or port cannot be read: use redis://HOST:6379"
        ) from None
    if any(_NO_HOST.search(unquote(each.hostname or "")) for each in urls):
        raise ConfigurationError(f"--redis-url has a host that can be none: {_WHERE_CREDENTIALS_GO}")
    if _is_host(urls[0].username or "") and _PORT_BEFORE_AT.fullmatch(urls[0].password or ""):
        raise ConfigurationError(f"--redis-url has a host and a port before its @: {_WHERE_CREDENTIALS_GO}")
    return scheme, urls[0], urls


def _tls_context(authorities: str | None) -> ssl.SSLContext:
    """Return a context that trusts the certificate authorities in that PEM file; without one, the system's."""
    try:
        return ssl.create_default_context(cafile=authorities)
    except OSError as exc:  # SSLError is one
        raise ConfigurationError(
            f"--redis-url: ssl_ca_certs={authorities} is not a readable PEM file: {exc.strerror}; "
            "name the file of your certificate authority"
        ) from None
