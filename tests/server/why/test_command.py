"""`nextmq why` names each cause that is injected, and the command that it prints ends it: the job then runs."""

from __future__ import annotations

import asyncio
import re
import shlex
import typing as t

import pytest

from nextmq_handler.cli.main import main
from nextmq_server.serving import HTTPServer, base_url, listen
from tests.support.injections import INJECTIONS, QUEUE, Stage, inject
from tests.support.rest_api import rest_api

pytestmark = pytest.mark.anyio

Command = t.Callable[..., t.Awaitable[str]]

_PLACEHOLDER = "MODULE:HANDLER"
"""What a printed command has in the place of an app that only the user knows."""


@pytest.fixture
async def command(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> t.AsyncIterator[Command]:
    """Give a function that types a command against the stage's server and returns what it prints."""

    def type_it(*words: str) -> str:
        with pytest.raises(SystemExit):
            main(words)
        return capsys.readouterr().out

    async def run(*words: str) -> str:
        return await asyncio.to_thread(type_it, *words)

    with listen("127.0.0.1", 0, command="the test") as listener:
        server = HTTPServer(rest_api(stage.service), shutdown_timeout=1)
        serving = asyncio.create_task(server.serve([listener]))
        monkeypatch.setenv("NEXTMQ_URL", stage.project.connection_string(base_url("127.0.0.1", listener)))
        yield run
        server.should_exit = True
        await serving


@pytest.mark.parametrize("code", INJECTIONS)
async def test_the_command_names_the_cause_and_its_remedy_lets_the_job_run(
    stage: Stage, code: str, command: Command
) -> None:
    injection = INJECTIONS[code]
    job = await inject(stage, code)
    printed = await command("why", QUEUE, job)
    assert set(re.findall(r"^\d+\. (\w+)  ", printed, re.MULTILINE)) == {code, *injection.others}
    typed = [shlex.split(line) for line in re.findall(r"^     \$ nextmq (.*)$", printed, re.MULTILINE)]
    remedies = [words for words in typed if _PLACEHOLDER not in words]
    if injection.command is None or _PLACEHOLDER in injection.command:
        await injection.end(stage, job)
    else:
        stage.app.outcome = {"outcome": "completed", "returnValue": None}
        for words in remedies:
            await command(*words)
        stage.app.gate.set()
    await stage.until(job, "completed")


async def test_several_causes_are_ended_one_by_one_in_the_order_that_is_printed(
    stage: Stage, command: Command
) -> None:
    await stage.register(concurrency=5)
    job = await stage.add(delay=3_600_000)
    await stage.call("POST", f"queues/{QUEUE}/pause")
    await stage.hold("throttled")
    seen: list[str] = []
    while (
        found := re.search(r"^1\. (\w+)  .*?^     \$ nextmq (.*?)$", await command("why", QUEUE, job), _FLAGS)
    ) is not None:
        seen.append(found[1])
        await command(*shlex.split(found[2]))
        if found[1] == "delayed":
            break
    assert seen == ["paused", "held_throttled", "delayed"]
    await stage.until(job, "completed")


_FLAGS = re.MULTILINE | re.DOTALL
