"""A primary, two replicas and three Sentinels, each behind a relay, with two servers and a receiver on them."""

from __future__ import annotations

import asyncio
import contextlib
import time
import typing as t
from pathlib import Path

import redis
from anyio.from_thread import BlockingPortal, start_blocking_portal

from nextmq_server.projects.projects_file import add_project
from tests.chaos.keeper import Keeper
from tests.chaos.parts import reserve_port, wait_until_ready
from tests.chaos.shim import Connecting, Shim
from tests.support.failover import PASSWORD, SENTINEL_PASSWORD, SERVICE, Group, by_sentinels

PROJECT = "chaos"
SERVERS = ("server 0", "server 1")

EventKind = t.Literal["hang", "vanish", "kill", "switch"]
"""The primary stops, is cut off without a packet, dies and comes back as a primary, or hands over as asked."""

KINDS: tuple[EventKind, ...] = t.get_args(EventKind)

_STALE_TIME = 1.0
"""How long (s) the old primary stays away after there is a new one."""

_PATIENCE = 90.0


class FailoverStrike(t.NamedTuple):
    """What happened to the primary, with the times (ms since the epoch) of its end and of the new primary."""

    kind: EventKind
    began_at: int
    promoted_at: int


class FailoverParts:
    """Runs all parts in `folder` within its context."""

    def __init__(self, folder: Path) -> None:
        self.journal = folder / "journal"
        self._folder = folder
        self._project = add_project(folder / "projects.json", PROJECT, prefix=PROJECT)
        self._ports = contextlib.ExitStack()
        self._public: dict[int, int] = {}
        self._server_ports = [reserve_port(self._ports) for _ in SERVERS]
        self._receiver_port = reserve_port(self._ports)
        options = ("--min-replicas-to-write", "1")
        self._group = Group(folder, replicas=2, public=self._public_port, options=options)
        self._links: dict[int, Shim] = {}
        self._kept: list[Keeper] = []
        self._sentinels: list[int] = []
        self._portal: BlockingPortal

    @property
    def urls(self) -> list[str]:
        """NEXTMQ_URL for each server."""
        return [self._project.connection_string(f"http://127.0.0.1:{port}") for port in self._server_ports]

    def server_logs(self) -> list[str]:
        """Return what each server has logged so far."""
        return [(self._folder / f"{name}.log").read_text() for name in SERVERS]

    @contextlib.contextmanager
    def running(self) -> t.Generator[None]:
        """Run all parts, and end them with the context."""
        with self._ports, start_blocking_portal() as self._portal:
            try:
                for port in self._group.ports:
                    self._links[port] = Shim(self._public_port(port), self._to(port))
                    self._portal.call(self._links[port].restore)
                self._group.start()
                self._sentinels = self._group.start_sentinels(3)
                self._kept = [self._server(number) for number in range(len(SERVERS))]
                self._kept.append(self._receiver())
                for part in self._kept:
                    part.start()
                for port in self._server_ports:
                    wait_until_ready(f"http://127.0.0.1:{port}/readyz")
                yield
            finally:
                for part in self._kept:
                    part.end()
                for link in self._links.values():
                    self._portal.call(link.cut)
                self._group.stop()

    def strike(self, kind: EventKind) -> FailoverStrike:
        """Make it happen to the primary, and return when the old one is back and all follow the new one."""
        old = self.primary()
        began_at = _now()
        self._take_away(kind, old)
        self._until(lambda: self.primary() != old, "the Sentinels promote no replica")
        promoted_at = _now()
        if kind != "switch":
            time.sleep(_STALE_TIME)  # how stale it is when it comes back, not a wait for something
        self._bring_back(kind, old)
        self._until(self._is_whole, "the servers do not all follow one primary")
        return FailoverStrike(kind, began_at, promoted_at)

    def primary(self) -> int:
        """Return the port of the primary, as most Sentinels name it."""
        named = [
            int(self._ask(port, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE)[1]) for port in self._sentinels
        ]
        most = max(set(named), key=named.count)
        return next(port for port in self._group.ports if self._public_port(port) == most)

    @contextlib.contextmanager
    def client(self) -> t.Generator[redis.Redis]:
        """Give a client of the primary."""
        with redis.Redis(port=self.primary(), password=PASSWORD, decode_responses=True) as client:
            yield client

    def _take_away(self, kind: EventKind, port: int) -> None:
        if kind == "hang":
            self._group.pause(port)
        elif kind == "vanish":
            self._portal.call(self._links[port].stall)
        elif kind == "kill":
            self._portal.call(self._links[port].cut)
            self._group.kill(port)
        else:
            self._until(lambda: self._hand_over(), "the Sentinels find no replica to promote")

    def _bring_back(self, kind: EventKind, port: int) -> None:
        if kind == "hang":
            self._group.resume(port)
        elif kind == "kill":
            self._group.start_valkey(port)
        self._portal.call(self._links[port].restore)

    def _hand_over(self) -> bool:
        try:
            self._ask(self._sentinels[0], "SENTINEL", "FAILOVER", SERVICE)
        except redis.ResponseError:
            return False
        return True

    def _is_whole(self) -> bool:
        others = [port for port in self._group.ports if port != self.primary()]
        return all(asyncio.run(self._group.is_synced(port)) for port in others)

    def _ask(self, port: int, *command: str) -> t.Any:
        with redis.Redis(port=port, password=SENTINEL_PASSWORD, decode_responses=True) as client:
            return client.execute_command(*command)

    def _until(self, condition: t.Callable[[], bool], why: str) -> None:
        deadline = time.monotonic() + _PATIENCE
        while not condition():
            assert time.monotonic() < deadline, why
            time.sleep(0.02)

    def _public_port(self, port: int) -> int:
        if port not in self._public:
            self._public[port] = reserve_port(self._ports)
        return self._public[port]

    def _to(self, port: int) -> t.Callable[[], Connecting]:
        return lambda: asyncio.open_connection("127.0.0.1", port)

    def _server(self, number: int) -> Keeper:
        options = {
            "--port": str(self._server_ports[number]),
            "--redis-url": by_sentinels(*self._sentinels),
            "--projects": str(self._folder / "projects.json"),
            "--allow-egress": "127.0.0.0/8",
        }
        command = ["nextmq_server", "serve", *(part for option in options.items() for part in option)]
        log = self._folder / f"{SERVERS[number]}.log"
        return Keeper(command, preloaded="nextmq_server.cli.serve", env={}, log=log)

    def _receiver(self) -> Keeper:
        env = {
            "NEXTMQ_URL": self.urls[0],
            "NEXTMQ_APP_URL": f"http://127.0.0.1:{self._receiver_port}",
            "CHAOS_JOURNAL": str(self.journal),
        }
        command = ["uvicorn", "tests.chaos.receiver:handler", "--port", str(self._receiver_port)]
        preloaded = "nextmq_handler.asgi,nextmq_handler.client._sync.workers"
        return Keeper(command, preloaded=preloaded, env=env, log=self._folder / "receiver.log")


def _now() -> int:
    return round(time.time() * 1000)
