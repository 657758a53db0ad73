"""The embedded Valkey and the process that owns it: killed owners, and two that want one folder."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

from nextmq_handler.errors import ConfigurationError
from nextmq_server import embedded
from nextmq_server.embedded import EmbeddedValkey

if t.TYPE_CHECKING:
    from .conftest import WaitUntil

pytestmark = pytest.mark.anyio

OWNER = """
import sys
from pathlib import Path
from nextmq_handler.errors import ConfigurationError
from nextmq_server.embedded import EmbeddedValkey

server = EmbeddedValkey(Path(sys.argv[1]), fsync="always")
try:
    server.start()
except ConfigurationError as exc:
    print("refused:", exc, flush=True)
    sys.exit(1)
print(server.pid, flush=True)
sys.stdin.read()
server.stop()
"""


class Owner:
    """Another process that runs a Valkey on `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.process = subprocess.Popen(
            [sys.executable, "-c", OWNER, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        self._line = ""

    @property
    def line(self) -> str:
        """The first line that it printed: Valkey's pid, or why it was refused."""
        if not self._line:
            assert self.process.stdout is not None
            self._line = self.process.stdout.readline().strip()
        return self._line

    @property
    def valkey_pid(self) -> int:
        return int(self.line)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def finish(self) -> None:
        with self.process:
            self.process.kill()


StartOwner = t.Callable[[], Owner]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "valkey"


@pytest.fixture
def start_owner(folder: Path) -> t.Iterator[StartOwner]:
    """Give a function that starts processes with a Valkey on `folder`, and end them after the test."""
    owners: list[Owner] = []

    def start() -> Owner:
        owners.append(Owner(folder))
        return owners[-1]

    yield start
    for owner in owners:
        owner.finish()


@pytest.fixture
def here(folder: Path) -> t.Iterator[EmbeddedValkey]:
    """Give a Valkey of this process on `folder`, not started."""
    server = EmbeddedValkey(folder)
    yield server
    server.stop()


def answers(folder: Path) -> bool:
    """Whether a Valkey serves the folder."""
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(folder / "valkey.sock"))
    except OSError:
        return False
    return True


def ask(folder: Path, command: bytes) -> bytes:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(10)
        client.connect(str(folder / "valkey.sock"))
        client.sendall(command + b"\r\n")
        return client.recv(1024)


async def test_a_folder_in_use_by_another_process_is_refused(
    start_owner: StartOwner, here: EmbeddedValkey, folder: Path
) -> None:
    assert start_owner().valkey_pid
    with pytest.raises(ConfigurationError) as caught:
        here.start()
    assert str(folder) in str(caught.value)
    assert "--data-dir" in str(caught.value)


async def test_the_folder_can_be_opened_once_its_owner_has_stopped(
    start_owner: StartOwner, here: EmbeddedValkey
) -> None:
    owner = start_owner()
    assert owner.valkey_pid
    owner.process.communicate()
    here.start()
    assert here.pid is not None


async def test_valkey_ends_when_its_owner_is_killed(
    start_owner: StartOwner, folder: Path, wait_until: WaitUntil
) -> None:
    owner = start_owner()
    assert owner.valkey_pid
    owner.kill()
    await wait_until(lambda: not answers(folder))
    assert not answers(folder)


async def test_data_survives_the_killing_of_the_owner(
    start_owner: StartOwner, here: EmbeddedValkey, folder: Path
) -> None:
    owner = start_owner()
    assert owner.valkey_pid
    ask(folder, b"SET greeting hello")
    owner.kill()
    here.start()
    assert ask(folder, b"GET greeting") == b"$5\r\nhello\r\n"


async def test_data_survives_the_killing_of_valkey_itself(
    start_owner: StartOwner, here: EmbeddedValkey, folder: Path
) -> None:
    owner = start_owner()
    pid = owner.valkey_pid
    ask(folder, b"SET greeting hello")
    os.kill(pid, signal.SIGKILL)
    owner.kill()
    here.start()
    assert ask(folder, b"GET greeting") == b"$5\r\nhello\r\n"


async def test_a_new_owner_gets_a_valkey_of_its_own_after_a_kill(
    start_owner: StartOwner, here: EmbeddedValkey
) -> None:
    owner = start_owner()
    first = owner.valkey_pid
    owner.kill()
    here.start()
    assert here.pid != first


async def test_a_folder_whose_valkey_outlives_its_owner_is_refused(
    start_owner: StartOwner, here: EmbeddedValkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = start_owner()
    pid = owner.valkey_pid
    os.kill(pid, signal.SIGSTOP)  # cannot act on the signal that its owner's death sends
    owner.kill()
    monkeypatch.setattr(embedded, "START_TIMEOUT", 0.2)
    try:
        with pytest.raises(ConfigurationError, match="still runs on"):
            here.start()
    finally:
        os.kill(pid, signal.SIGCONT)


async def test_a_folder_refused_for_its_old_valkey_can_be_opened_once_that_has_ended(
    start_owner: StartOwner, here: EmbeddedValkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = start_owner()
    pid = owner.valkey_pid
    os.kill(pid, signal.SIGSTOP)
    owner.kill()
    with monkeypatch.context() as patch:
        patch.setattr(embedded, "START_TIMEOUT", 0.2)
        try:
            with pytest.raises(ConfigurationError):
                here.start()
        finally:
            os.kill(pid, signal.SIGCONT)
    here.start()
    assert here.pid != pid


async def test_a_new_owner_waits_for_a_valkey_that_is_slow_to_end(
    start_owner: StartOwner, here: EmbeddedValkey, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = start_owner()
    pid = owner.valkey_pid
    ask(folder, b"SET greeting hello")
    os.kill(pid, signal.SIGSTOP)
    owner.kill()
    ask_valkey = embedded._ask

    def go_on_when_asked(path: Path, command: bytes) -> bytes:
        os.kill(pid, signal.SIGCONT)  # here.start() has found the folder taken
        monkeypatch.undo()
        return ask_valkey(path, command)

    monkeypatch.setattr(embedded, "_ask", go_on_when_asked)
    here.start()
    assert ask(folder, b"GET greeting") == b"$5\r\nhello\r\n"


async def test_of_many_owners_that_start_at_once_one_gets_the_folder(start_owner: StartOwner) -> None:
    owners = [start_owner() for _ in range(4)]
    lines = [owner.line for owner in owners]
    assert sorted(line.startswith("refused:") for line in lines) == [False, True, True, True]


async def test_ended_waits_while_valkey_runs(here: EmbeddedValkey) -> None:
    here.start()
    ended = asyncio.create_task(here.ended())
    await asyncio.sleep(0)
    assert not ended.done()
    ended.cancel()


async def test_ended_returns_when_valkey_ends_by_itself(here: EmbeddedValkey, folder: Path) -> None:
    here.start()
    assert here.pid is not None
    os.kill(here.pid, signal.SIGKILL)
    await here.ended()
    assert not answers(folder)
