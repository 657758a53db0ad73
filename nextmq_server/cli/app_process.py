"""The app that `nextmq dev -- COMMAND` runs: its process group, its output, its end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import sys
import typing as t
from pathlib import Path

from nextmq_handler.errors import ConfigurationError

from ..parents import die_with_parent
from ..tasks import end_tasks

STOP_TIMEOUT = 5.0
"""How long, in s, the app may take to end on SIGTERM, before it is killed."""

MAX_LINE = 64 * 1024
"""A longer line of output, in bytes, is shown in parts."""

_CANNOT_RUN = 126  # as shells say it


class AppProcess:
    """A command, in a process group of its own: Ctrl-C reaches the server only, which ends the app last.

    `show` is called with the program's name and each line. Raises ConfigurationError if there is no such program.
    """

    def __init__(self, command: t.Sequence[str], *, show: t.Callable[[str, str], object]) -> None:
        self.name: str = Path(command[0]).name
        self.status: int | None = None
        """The exit status if the command has ended by itself; 128 and its number if a signal ended it."""
        self._command = [_find(command[0]), *command[1:]]
        self._show = show
        self._process: asyncio.subprocess.Process | None = None
        self._output: asyncio.Task[None] | None = None

    async def run(self, variables: t.Mapping[str, str]) -> None:
        """Start the command with these variables and show its output, until it ends or this is cancelled.

        A cancelled one goes on until `stop`.
        """
        try:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **variables},
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=die_with_parent(),
            )
        except OSError as exc:
            self._show(self.name, f"cannot be run: {exc.strerror}")
            self.status = _CANNOT_RUN
            return
        assert self._process.stdout is not None
        self._output = asyncio.create_task(self._show_lines(self._process.stdout))
        code = await self._process.wait()
        self.status = code if code >= 0 else 128 - code

    async def stop(self) -> None:
        """End the process group, with SIGKILL after STOP_TIMEOUT. Do nothing if it never started."""
        if self._process is None:
            return
        self._signal(signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._process.wait(), STOP_TIMEOUT)
        self._signal(signal.SIGKILL)  # also what a reloader left
        await self._process.wait()
        if self._output is not None:
            # Whoever left the group may hold the pipe open.
            await asyncio.wait([self._output], timeout=1)
            await end_tasks(self._output)

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError, PermissionError):  # the group has ended
            os.killpg(self._process.pid, number)

    async def _show_lines(self, output: asyncio.StreamReader) -> None:
        rest = b""
        while chunk := await output.read(MAX_LINE):
            *lines, rest = (rest + chunk).split(b"\n")
            if len(rest) >= MAX_LINE:
                lines, rest = [*lines, rest], b""
            for line in lines:
                self._show(self.name, line.decode("utf-8", "replace").rstrip("\r"))
        if rest:
            self._show(self.name, rest.decode("utf-8", "replace"))


def _find(program: str) -> str:
    """Return the path of `program`, also if only this command's own environment has it."""
    found = shutil.which(program) or shutil.which(program, path=str(Path(sys.executable).parent))
    if found is None:
        raise ConfigurationError(
            f"there is no program {program}: install it here, or activate the environment of your app"
        )
    return found
