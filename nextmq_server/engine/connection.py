"""A multiplexed connection to Redis or Valkey: every caller's commands share one socket.

Commands of one loop tick leave in one write and answers come back in order, which is what makes the engine fast.
Blocking commands need a connection of their own.
"""

from __future__ import annotations

import asyncio
import collections
import logging
import random
import ssl
import typing as t
from urllib.parse import parse_qs, unquote, urlsplit

import hiredis

from nextmq_handler.errors import ConfigurationError

logger = logging.getLogger("nextmq_server.redis")

MAX_RETRY_DELAY = 2.0
CONNECT_TIMEOUT = 10.0
"""How long, in s, Redis may take to take a connection and answer its greeting."""

Argument = str | bytes | int | float

_pack: t.Callable[[tuple[Argument, ...]], bytes] = t.cast("t.Any", hiredis).pack_command


class RedisError(Exception):
    """Redis answered a command with an error; the text starts with its code, such as NOSCRIPT or WRONGTYPE."""


class ConnectionLost(Exception):
    """The connection broke: whether the command was carried out is not known."""


class Address:
    """Where Redis is, from `redis://`, `rediss://` or `unix://`. Its repr shows no password.

    `rediss://…?ssl_ca_certs=FILE` trusts the certificate authorities in that PEM file instead of the system's.
    """

    def __init__(self, url: str) -> None:
        try:
            parts = urlsplit(url)
            port = parts.port or 6379
        except ValueError:
            raise ConfigurationError("--redis-url is not a URL: its host or port cannot be read") from None
        if parts.scheme not in ("redis", "rediss", "unix"):
            raise ConfigurationError("--redis-url must start with redis://, rediss:// or unix://")
        self.path = unquote(parts.path) if parts.scheme == "unix" else None
        self.host = parts.hostname or "127.0.0.1"
        self.port = port
        query = parse_qs(parts.query)
        self.tls = _tls_context(query.get("ssl_ca_certs", [None])[0]) if parts.scheme == "rediss" else None
        self.username = unquote(parts.username or "")
        self.password = unquote(parts.password or "")
        database = query.get("db", [""])[0] if self.path else parts.path.strip("/")
        if database and not database.isdecimal():
            raise ConfigurationError("--redis-url names a database that is not a number")
        self.database = int(database or 0)

    def __repr__(self) -> str:
        where = self.path or f"{self.host}:{self.port}"
        return f"<Address {where} db={self.database}>"

    def greeting(self) -> list[tuple[Argument, ...]]:
        """The commands that a new connection starts with."""
        commands: list[tuple[Argument, ...]] = []
        if self.password:
            user = (self.username,) if self.username else ()
            commands.append(("AUTH", *user, self.password))
        if self.database:
            commands.append(("SELECT", self.database))
        return commands

    async def connect(self, protocol: t.Callable[[], _Protocol]) -> _Protocol:
        """A connected protocol. Raises OSError."""
        loop = asyncio.get_running_loop()
        if self.path is not None:
            _, connected = await loop.create_unix_connection(protocol, self.path)
        else:
            _, connected = await loop.create_connection(protocol, self.host, self.port, ssl=self.tls)
        return connected


def _tls_context(authorities: str | None) -> ssl.SSLContext:
    """What trusts the certificate authorities in that PEM file only; without one, those of the system."""
    try:
        return ssl.create_default_context(cafile=authorities)
    except OSError as exc:  # SSLError is one
        raise ConfigurationError(
            f"--redis-url: ssl_ca_certs={authorities} is not a readable PEM file with certificates: {exc.strerror}"
        ) from None


class _Protocol(asyncio.Protocol):
    """One socket: commands out, answers matched to them in order."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.lost = asyncio.Event()
        self._reader = hiredis.Reader(encoding="utf-8", errors="surrogateescape")
        self._waiting: collections.deque[asyncio.Future[t.Any]] = collections.deque()
        self._outgoing: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = t.cast("asyncio.Transport", transport)

    def send(self, command: t.Sequence[Argument]) -> asyncio.Future[t.Any]:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[t.Any] = loop.create_future()
        if self.lost.is_set():
            answer.set_exception(ConnectionLost("not connected"))
            return answer
        if not self._outgoing:
            loop.call_soon(self._flush)
        self._outgoing.append(_pack(tuple(command)))
        self._waiting.append(answer)
        return answer

    def _flush(self) -> None:
        data, self._outgoing = b"".join(self._outgoing), []
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(data)

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        while True:
            try:
                answer = self._reader.gets()
            except hiredis.ProtocolError as exc:  # what listens there is no Redis
                self._lose(str(exc))
                self.close()
                return
            if answer is False:
                return
            future = self._waiting.popleft()
            if future.done():
                continue  # its caller was cancelled
            if isinstance(answer, hiredis.ReplyError):
                future.set_exception(RedisError(str(answer)))
            else:
                future.set_result(answer)

    def close(self) -> None:
        if self.transport is not None:
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._lose(str(exc or "closed"))

    def _lose(self, why: str) -> None:
        self.lost.set()
        for future in self._waiting:
            if not future.done():
                future.set_exception(ConnectionLost(why))
        self._waiting.clear()


class Connection:
    """One connection that comes back by itself after it was lost."""

    def __init__(self, address: Address, *, name: str) -> None:
        self._address = address
        self._name = name
        self._protocol: _Protocol | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._connected = asyncio.Event()

    async def connect(self) -> None:
        """Connect now. Raises ConfigurationError where Redis cannot be reached or refuses us."""
        try:
            await self._open()
        except (OSError, ConnectionLost) as exc:
            what = "no answer" if isinstance(exc, TimeoutError) else getattr(exc, "strerror", None) or exc
            raise ConfigurationError(
                f"cannot reach Redis at {self._address}: {what}; is it running, and is --redis-url right?"
            ) from exc
        except RedisError as exc:
            raise ConfigurationError(f"Redis at {self._address} refused the connection: {exc}") from exc
        self._keeper = asyncio.create_task(self._keep())

    async def close(self) -> None:
        """Close for good."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait({self._keeper})
        if self._protocol is not None:
            self._protocol.close()
            await self._protocol.lost.wait()

    async def ready(self) -> None:
        """Wait until the connection stands, again or still."""
        if self._protocol is not None and self._protocol.lost.is_set():
            self._connected.clear()  # the keeper may not have run yet: who tries again must not spin until it has
        await self._connected.wait()

    def execute(self, *command: Argument) -> asyncio.Future[t.Any]:
        """The answer to a command, in the future. Raises RedisError or, at once when down, ConnectionLost."""
        assert self._protocol is not None, "connect() first"
        return self._protocol.send(command)

    async def _open(self) -> None:
        async with asyncio.timeout(CONNECT_TIMEOUT):
            protocol = await self._address.connect(_Protocol)
            greeting = [*self._address.greeting(), ("CLIENT", "SETNAME", self._name)]
            try:
                await asyncio.gather(*(protocol.send(command) for command in greeting))
            except BaseException:
                protocol.close()
                raise
        self._protocol = protocol
        self._connected.set()

    async def _keep(self) -> None:
        while True:
            assert self._protocol is not None
            await self._protocol.lost.wait()
            self._connected.clear()
            logger.error("lost the connection to Redis at %s, connecting again until it works", self._address)
            retry = 0
            while not self._connected.is_set():
                await asyncio.sleep(min(MAX_RETRY_DELAY, 0.05 * 2**retry) * random.uniform(0.5, 1))  # noqa: S311
                retry = min(retry + 1, 10)
                try:
                    await self._open()
                except (OSError, RedisError, ConnectionLost):
                    continue
            logger.warning("connected to Redis at %s again", self._address)
