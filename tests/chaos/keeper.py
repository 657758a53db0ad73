"""A process that restarts whenever it ends, as under systemd."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
import typing as t
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_RESTART_PAUSE = 0.1


class Keeper:
    """Keeps `python -m` with `command` running. Writes its output to `log`, counts `ends` and `kills`."""

    def __init__(self, command: t.Sequence[str], *, preloaded: str, env: t.Mapping[str, str], log: Path) -> None:
        self.log = log
        self.ends = self.kills = 0
        self._pid: int | None = None
        self._changed = threading.Condition()
        self._may_run = self._is_down = self._is_over = False
        with log.open("ab") as file:
            self._forker = subprocess.Popen(
                [sys.executable, "-m", "tests.chaos.forker", preloaded, *command],
                cwd=ROOT,
                env={**os.environ, **env},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=file,
                text=True,
            )
        self._thread = threading.Thread(target=self._keep)
        self._thread.start()

    def start(self) -> None:
        """Start the process and keep it running."""
        with self._changed:
            self._may_run = True
            self._changed.notify_all()

    def kill(self) -> None:
        """Send SIGKILL. The process stays dead until `start`."""
        self.kills += 1
        with self._changed:
            self._may_run = False
            while not self._is_down:
                self._kill()
                self._changed.wait(0.02)  # it may just be starting

    def end(self) -> None:
        """Send SIGKILL and never start the process again."""
        self._is_over = True
        self.kill()
        self.start()
        self._thread.join()
        assert self._forker.stdout
        self._forker.wait()
        self._forker.stdout.close()

    def _kill(self) -> None:
        if self._pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)

    def _keep(self) -> None:
        assert self._forker.stdin
        assert self._forker.stdout
        with self._forker.stdin:
            while self._wait_for_start():
                self._forker.stdin.write("\n")
                self._forker.stdin.flush()
                self._pid = int(self._forker.stdout.readline())
                self._forker.stdout.readline()
                self._pid = None
                self.ends += 1
                time.sleep(_RESTART_PAUSE)

    def _wait_for_start(self) -> bool:
        """Wait while the process must stay dead. Return whether to start it again."""
        with self._changed:
            self._is_down = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._may_run)
            self._is_down = False
            return not self._is_over
