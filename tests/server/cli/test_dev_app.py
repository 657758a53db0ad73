"""`nextmq dev -- COMMAND`: the server and the app as one command."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
import typing as t
from pathlib import Path

import httpx
import pytest

from nextmq_handler.errors import ConfigurationError
from nextmq_server.cli import app_process
from nextmq_server.cli.app_process import AppProcess
from nextmq_server.testing.processes import ChildProcess, free_port

APP = """
import json, os, sys
from pathlib import Path
from starlette.applications import Starlette
from starlette.routing import Mount
from nextmq_handler import Job, Worker, create_nextmq_handler

def broken(job: Job) -> None:
    json.loads(job.data)

nextmq = create_nextmq_handler(workers=[Worker("emails", broken)])
app = Starlette(lifespan=nextmq.lifespan, routes=[Mount("/api/nextmq", nextmq)])
Path("app.pid").write_text(str(os.getpid()))
print("the app says ünïcode", file=sys.stderr)
"""
LINE_THAT_RAISES = 9


class DevWithApp(t.NamedTuple):
    """What a run of `nextmq dev -- uvicorn` left behind, and the file with the variables while it ran."""

    process: ChildProcess
    folder: Path
    variables: dict[str, str]
    mode: int
    app_url: str


def dev(folder: Path, *command: str) -> ChildProcess:
    """Start `nextmq dev` in `folder` for the app of `command`."""
    server = [sys.executable, "-m", "nextmq_server", "dev", "--port", "0", "--data-dir", str(folder / ".nextmq")]
    return ChildProcess(["/bin/sh", "-c", 'cd "$0" && exec "$@"', str(folder), *server, "--", *command])


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> DevWithApp:
    """Run an app until one of its jobs has failed, then press Ctrl-C."""
    folder = tmp_path_factory.mktemp("with-app")
    (folder / "main.py").write_text(APP)
    port = str(free_port())
    process = dev(folder, "uvicorn", "main:app", "--port", port)
    try:
        process.wait_for_line("worker registered")
        file = folder / ".nextmq" / "env"
        variables = dict(line.split("=", 1) for line in file.read_text().splitlines())
        mode = file.stat().st_mode & 0o777
        (curl,) = (line for line in process.lines if line.startswith("  curl "))
        url, key = curl.split()[1], curl.split("Bearer ")[1].split("'")[0]
        httpx.post(url, json={"name": "welcome", "data": "{"}, headers={"authorization": f"Bearer {key}"})
        process.wait_for_line("welcome#1")
        process.send_signal(signal.SIGINT)
        process.wait_for_line("Stopped.")
        process.wait()
    finally:
        process.stop()
    return DevWithApp(process, folder, variables, mode, f"http://127.0.0.1:{port}/api/nextmq")


def test_the_app_registers_with_the_server_without_any_set_up(run: DevWithApp) -> None:
    (line,) = (line for line in run.process.lines if "worker registered" in line)
    assert f"registered at {run.app_url}/queues/emails" in line


def test_the_output_of_the_app_comes_after_its_name(run: DevWithApp) -> None:
    assert "uvicorn | the app says ünïcode\n" in run.process.lines


def test_a_failed_delivery_shows_the_type_the_message_and_the_apps_own_line(run: DevWithApp) -> None:
    (line,) = (line for line in run.process.lines if "welcome#1" in line)
    assert "JSONDecodeError: Expecting property name" in line
    assert line.rstrip().endswith(f" main.py:{LINE_THAT_RAISES}")


def test_the_file_for_other_commands_has_both_variables_for_its_owner_only(run: DevWithApp) -> None:
    assert run.mode == 0o600
    assert run.variables["NEXTMQ_URL"].startswith("nextmq+http://nmq_")
    assert run.variables["NEXTMQ_APP_URL"] == run.app_url


def test_ctrl_c_ends_the_server_the_app_and_the_file(run: DevWithApp) -> None:
    assert run.process.wait() == 0
    assert not (run.folder / ".nextmq" / "env").exists()
    with pytest.raises(ProcessLookupError):
        os.kill(int((run.folder / "app.pid").read_text()), 0)


def test_an_app_that_ends_ends_the_command_with_its_status(tmp_path: Path) -> None:
    process = dev(tmp_path, sys.executable, "-c", "raise SystemExit(7)")
    process.wait_for_line("ended with status 7.")
    assert process.wait() == 7


def test_a_program_that_does_not_exist_is_named() -> None:
    with pytest.raises(ConfigurationError, match="there is no program no-such-server: install it here"):
        AppProcess(["no-such-server", "main:app"], show=print)


STUBBORN = """
import os, signal, subprocess, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
print(child.pid, os.getpid(), flush=True)
signal.pause()
"""


def test_an_app_that_ignores_sigterm_is_killed_with_its_children(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app_process, "STOP_TIMEOUT", 0.05)

    async def start_and_stop() -> list[int]:
        shown = asyncio.Queue[str]()
        app = AppProcess([sys.executable, "-c", STUBBORN], show=lambda _name, line: shown.put_nowait(line))
        running = asyncio.create_task(app.run({}))
        pids = [int(pid) for pid in (await shown.get()).split()]
        running.cancel()
        await asyncio.wait([running])
        await app.stop()
        return pids

    pids, until = asyncio.run(start_and_stop()), time.monotonic() + 10
    while any(map(_runs, pids)) and time.monotonic() < until:
        time.sleep(0.01)  # a process that was killed ends when the kernel comes to it
    assert not any(map(_runs, pids))


def test_a_line_without_an_end_is_shown_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app_process, "MAX_LINE", 1000)
    shown = list[str]()

    async def run() -> None:
        app = AppProcess(
            [sys.executable, "-c", "print('x' * 10_000, end='')"], show=lambda _name, line: shown.append(line)
        )
        await app.run({})
        await app.stop()

    asyncio.run(run())
    assert "".join(shown) == "x" * 10_000
    assert len(shown) > 5


def _runs(pid: int) -> bool:
    """Return whether the process runs; one that ended and was not collected does not."""
    with contextlib.suppress(FileNotFoundError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] not in "ZX"
    return False
