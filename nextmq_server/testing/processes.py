"""Run `nextmq dev` and apps as child processes: start, watch and kill them."""

from __future__ import annotations

import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
import typing as t
from pathlib import Path

START_TIME = 60.0
"""How long, in s, a process may take to print an expected line, and to end."""


class ProcessFailed(Exception):
    """A process ended, or the time was up, before it printed the expected line."""


class ChildProcess:
    """A child process. Its stdout and stderr are kept in `lines`, and `echo` is called with each line."""

    def __init__(
        self,
        command: t.Sequence[str],
        *,
        env: t.Mapping[str, str] | None = None,
        echo: t.Callable[[str], object] | None = None,
    ) -> None:
        self.lines: list[str] = []
        self._echo = echo
        self._fresh: queue.Queue[str | None] = queue.Queue()
        self._process = subprocess.Popen(  # noqa: S603 - the caller's command
            command,
            env={**os.environ, **(env or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """The id of the process."""
        return self._process.pid

    def wait_for_line(self, text: str) -> str:
        """Return the next line that contains `text`, after those returned before. Raises ProcessFailed."""
        deadline = time.monotonic() + START_TIME
        try:
            while (line := self._fresh.get(timeout=max(0.01, deadline - time.monotonic()))) is not None:
                if text in line:
                    return line
        except queue.Empty:
            pass
        raise ProcessFailed(f"no line with {text!r} among\n{''.join(self.lines)}")

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal. Does nothing if the process has ended."""
        self._process.send_signal(number)

    def kill(self) -> None:
        """Send SIGKILL and wait: the process cannot clean up."""
        self._process.kill()
        self.wait()

    def stop(self) -> int:
        """Send SIGTERM; return the exit status."""
        self.send_signal(signal.SIGTERM)
        return self.wait()

    def wait(self) -> int:
        """Wait for the end of the process; return the exit status."""
        status = self._process.wait(START_TIME)
        self._reader.join(START_TIME)
        if self._process.stdout is not None:
            self._process.stdout.close()
        return status

    def _read(self) -> None:
        for line in t.cast("t.IO[str]", self._process.stdout):
            self.lines.append(line)
            if self._echo is not None:
                self._echo(line)
            self._fresh.put(line)
        self._fresh.put(None)


def start_dev_server(
    data_dir: Path,
    *,
    port: int = 0,
    app_url: str | None = None,
    env: t.Mapping[str, str] | None = None,
    echo: t.Callable[[str], object] | None = None,
) -> tuple[ChildProcess, str]:
    """Start `nextmq dev`; return it, ready, with its connection string. Raises ProcessFailed.

    Port 0 picks a free one. The server polls the health of the app at `app_url`, so that an app that cannot
    register by itself does.
    """
    command = [sys.executable, "-m", "nextmq_server", "dev", "--port", str(port), "--data-dir", str(data_dir)]
    if app_url is not None:
        command += ["--app", app_url]
    server = ChildProcess(command, env=env, echo=echo)
    try:
        url = server.wait_for_line("NEXTMQ_URL=").partition("NEXTMQ_URL=")[2].strip()
        server.wait_for_line("Deliveries:")
    except ProcessFailed:
        server.stop()
        raise
    return server, url


def free_port() -> int:
    """Return a port of 127.0.0.1 that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
