"""The table of commands, the help, exit codes, and what a command says if it cannot run."""

from __future__ import annotations

import subprocess
import sys
import typing as t

import pytest

from nextmq_handler.cli.commands import COMMANDS
from tests.cli.conftest import Run

ENTRIES = [entry for entries in COMMANDS.values() for entry in entries]

WITHOUT_TYPER = """
import sys
class Refused:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("typer", "click", "rich"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Refused())
from nextmq_handler.cli.main import main
main(sys.argv[1:])
"""

LOADED = """
import sys
from nextmq_handler.cli.main import main
try:
    main(["--help"])
except SystemExit:
    pass
print(sorted(name for name in sys.modules if name.startswith(("nextmq_server", "nextmq_handler.cli.", "httpx"))))
"""


def python(program: str, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", program, *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_the_help_lists_every_command_and_loads_no_command() -> None:
    printed = python(LOADED).stdout
    *text, modules = printed.splitlines()
    assert [entry.name for entry in ENTRIES if not any(line.startswith(f"  {entry.name} ") for line in text)] == []
    frame = ("commands", "deploy", "failure", "main", "typed")
    assert modules == str([f"nextmq_handler.cli.{name}" for name in frame])


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_a_command_of_the_table_loads_and_shows_its_help(entry: t.Any, nextmq: Run) -> None:
    ran = nextmq(entry.name, "--help")
    assert (ran.status, ran.err) == (0, "")
    assert ran.out.startswith(
        "usage: nextmq register" if entry.name == "register" else f"Usage: nextmq {entry.name}"
    )


def test_without_typer_the_help_lists_every_command() -> None:
    done = python(WITHOUT_TYPER, "--help")
    assert [entry.name for entry in ENTRIES if f"  {entry.name} " not in done.stdout] == []


def test_without_typer_a_command_says_what_to_install() -> None:
    done = python(WITHOUT_TYPER, "status")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith('nextmq: this command needs typer: pip install "nextmq-handler[cli]"')


def test_without_typer_a_deploy_step_runs() -> None:
    done = python(WITHOUT_TYPER, "register", "no_such_module:nextmq")
    assert done.stderr == "nextmq: no_such_module:nextmq cannot be loaded: No module named 'no_such_module'\n"


def test_a_name_that_is_almost_a_command_is_told(nextmq: Run) -> None:
    ran = nextmq("statsu")
    assert (ran.status, "Did you mean 'status'" in ran.err) == (2, True)


@pytest.mark.parametrize(
    "words", [["status", "--no-such"], ["why"], ["add", "emails"], ["jobs", "q", "--limit", "0"]]
)
def test_a_wrong_use_exits_2(words: list[str], nextmq: Run) -> None:
    assert nextmq(*words).status == 2
