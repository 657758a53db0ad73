"""Every block of code in README and docs is run or checked, or the page's source says why not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
import typing as t
from pathlib import Path
from unittest import mock

import pytest
import yaml
from sybil import Example, Sybil
from sybil.parsers.markdown import CodeBlockParser

from .commands import UnknownCommand, check, commands_in
from .pages import PAGES, blocks_of, has_reason


def _console(example: Example) -> None:
    text = example.document.text
    with mock.patch.dict(os.environ):
        for command in commands_in(example.parsed):
            try:
                check(command, text)
            except UnknownCommand:
                if not has_reason(text[: example.start]):
                    raise


def _json(example: Example) -> None:
    json.loads(example.parsed)


def _toml(example: Example) -> None:
    tomllib.loads(example.parsed)


def _yaml(example: Example) -> None:
    yaml.safe_load(example.parsed)


def _javascript(example: Example) -> None:
    node = Path(sys.prefix) / "bin" / "node"
    command = [str(node), "--check", "--input-type=module", "-"]
    done = subprocess.run(command, input=example.parsed, text=True, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


CHECKED: dict[str, t.Callable[[Example], None]] = {
    "console": _console,
    "javascript": _javascript,
    "json": _json,
    "toml": _toml,
    "yaml": _yaml,
}
EXAMPLES = Sybil([CodeBlockParser(language, evaluator) for language, evaluator in CHECKED.items()])


@pytest.mark.parametrize("page", PAGES)
def test_a_block_is_run_or_checked_or_says_why_not(page: str) -> None:
    unexplained = [
        f"{page}:{block.line} ({block.language or 'indented'})"
        for block in blocks_of(PAGES[page])
        if block.language not in ("python", *CHECKED) and not block.reason
    ]
    assert unexplained == []


@pytest.mark.parametrize("page", PAGES)
def test_commands_and_data_are_what_their_parsers_take(page: str) -> None:
    for example in EXAMPLES.parse(PAGES[page]).examples():
        example.evaluate()


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("nextmq dev --prot 7410", "No such option"),
        ("nextmq serv", "No such command"),
        ("nextmq register", "module:handler"),
        ("uvicorn nowhere:app", "not shown on the page, and no such module"),
        ("make demonstration", "make"),
        ("pip install nextmq-handler[lambda]", "nextmq-handler[lambda]"),
    ],
)
def test_a_command_that_cannot_be_right_is_found(
    command: str, message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises((Exception, SystemExit)) as failed:
        check(command.split(), page="")
    assert message in f"{failed.value}{capfd.readouterr().err}"


@pytest.mark.parametrize(
    "method_and_path", ["GET /v1/queue/emails", "POST /v1/queues/emails", "DELETE /v1/triggers"]
)
def test_a_route_that_the_api_does_not_have_is_found(method_and_path: str) -> None:
    method, path = method_and_path.split()
    with pytest.raises(AssertionError, match="the API has no"):
        check(["curl", "-X", method, f"http://127.0.0.1:7410{path}"], page="")


def test_a_command_that_nothing_here_knows_needs_a_reason() -> None:
    with pytest.raises(UnknownCommand):
        check(["sam", "deploy"], page="")


def test_a_command_goes_on_over_lines_and_its_output_is_none() -> None:
    block = (
        "$ export A=1 && nextmq dev\nNextMQ server on …\n$ curl -d '\n  {}' \\\n  http://127.0.0.1:7410/v1/flows\n"
    )
    assert commands_in(block) == [
        ["export", "A=1"],
        ["nextmq", "dev"],
        ["curl", "-d", "\n  {}", "http://127.0.0.1:7410/v1/flows"],
    ]
