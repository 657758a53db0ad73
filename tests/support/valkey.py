"""A real Valkey, whose time a test can move."""

import contextlib
import typing as t
from collections.abc import Iterator
from pathlib import Path

import redis

from nextmq_server.embedded import EmbeddedValkey


@contextlib.contextmanager
def running_valkey(folder: Path) -> Iterator[Path]:
    """Run a Valkey on `folder`, and yield its socket."""
    valkey = EmbeddedValkey(folder)
    valkey.start()
    try:
        yield valkey.socket_path
    finally:
        valkey.stop()


@contextlib.contextmanager
def connected(socket: Path, **options: t.Any) -> Iterator[redis.Redis]:
    """Yield a client of an empty Valkey."""
    with redis.Redis(unix_socket_path=str(socket), **options) as client:
        client.flushall()
        yield client


def let_pass(client: t.Any, seconds: float) -> None:
    """Make every key older by `seconds`: keys that expire by then are gone."""
    for key in client.scan_iter():
        client.pexpire(key, client.pttl(key) - round(seconds * 1000))
