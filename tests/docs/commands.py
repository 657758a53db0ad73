"""Check the commands that pages show, with the program that they name or its parser."""

from __future__ import annotations

import functools
import importlib.util
import os
import re
import shlex
import subprocess
import tomllib
import typing as t
from urllib.parse import urlsplit

import gunicorn.config
import typer
from packaging.requirements import Requirement
from uvicorn.main import main as uvicorn_command

from nextmq_handler.cli.deploy import is_step
from nextmq_handler.cli.deploy import parser as library_parser
from nextmq_handler.cli.typed import app as commands
from tests.support.rest_api import documented

from .pages import ROOT

SERVER = ("127.0.0.1:7410", "queue.example")


class UnknownCommand(AssertionError):
    """Nothing here can tell whether the command is right."""


def commands_in(block: str) -> list[list[str]]:
    """Return the commands after the prompts of a console block, split into words; a command may span lines."""
    found: list[list[str]] = []
    pending = ""
    for line in block.splitlines():
        if not pending and not line.startswith("$ "):
            continue  # what it printed
        pending += line.removeprefix("$ ") if not pending else f"\n{line}"
        try:
            words = _words(pending.replace("\\\n", " ") if not pending.endswith("\\") else "'")
        except ValueError:
            continue  # a quotation is open
        found += words
        pending = ""
    assert not pending, f"the command does not end: {pending}"
    return found


def _words(line: str) -> list[list[str]]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;")
    lexer.whitespace_split = True
    commands: list[list[str]] = [[]]
    for word in lexer:
        if set(word) <= set("|&;"):
            commands.append([])
        else:
            commands[-1].append(word)
    return [command for command in commands if command]


def check(command: list[str], page: str) -> None:
    """Fail if `command`, on a page with the text `page`, cannot be right.

    Put what it exports into os.environ.
    """
    program, *arguments = command
    if program not in _CHECKS:
        raise UnknownCommand(f"{program}: check it in {__name__}, or say above the block: <!-- not run: why -->")
    _CHECKS[program](arguments, page)


def _nextmq(arguments: list[str], page: str) -> None:
    if "--" in arguments:  # the app that `nextmq dev` starts
        check(arguments[arguments.index("--") + 1 :], page)
    if is_step(arguments):
        target = library_parser().parse_args(arguments).target
        _check_module(target, page)
        return
    command: t.Any = typer.main.get_command(commands)
    path = "nextmq"
    context = command.make_context(path, arguments)
    while hasattr(command, "resolve_command"):
        name, command, arguments = command.resolve_command(context, [*context._protected_args, *context.args])
        assert command is not None, f"{path} has no command {name}"
        path = f"{path} {name}"
        context = command.make_context(name, arguments, parent=context)
        command = context.command  # the one that a lazy command became


def _uvicorn(arguments: list[str], page: str) -> None:
    context = uvicorn_command.make_context("uvicorn", arguments)
    _check_module(context.params["app"], page)


def _gunicorn(arguments: list[str], page: str) -> None:
    options = gunicorn.config.Config().parser().parse_args(arguments)
    _check_module(options.args[0], page)


def _python(arguments: list[str], page: str) -> None:
    option, module, *_ = arguments
    assert option == "-m", f"python {option}"
    _check_module(module, page)


def _check_module(target: str, page: str) -> None:
    module = target.partition(":")[0]
    shown = f"# {module.replace('.', '/')}.py" in page
    assert shown or importlib.util.find_spec(module), f"{target}: not shown on the page, and no such module"


def _pip(arguments: list[str], page: str) -> None:
    assert arguments[0] == "install", arguments
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for argument in arguments[1:]:
        if argument.startswith("-"):
            continue
        wanted = Requirement(re.sub(r"^\.", project["name"], argument))
        if wanted.name == project["name"]:
            assert wanted.extras <= project["optional-dependencies"].keys(), argument


def _make(arguments: list[str], page: str) -> None:
    subprocess.run(["make", "--dry-run", *arguments], cwd=ROOT, check=True, capture_output=True)


def _curl(arguments: list[str], page: str) -> None:
    url = urlsplit(next(argument for argument in arguments if "://" in argument))
    if url.netloc not in SERVER:
        return  # the page's own app: its Python says what it answers
    method = arguments[arguments.index("-X") + 1] if "-X" in arguments else "POST" if "-d" in arguments else "GET"
    templates = _routes()
    fitting = [path for path in templates if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", path), url.path)]
    assert any(method.lower() in templates[path] for path in fitting), f"the API has no {method} {url.path}"


@functools.cache
def _routes() -> dict[str, dict[str, t.Any]]:
    return documented()["paths"]  # type: ignore[no-any-return]


def _export(arguments: list[str], page: str) -> None:
    os.environ.update(dict(argument.split("=", 1) for argument in arguments))


def _shell(arguments: list[str], page: str) -> None:
    """Accept a builtin of the shell."""


_CHECKS: t.Mapping[str, t.Callable[[list[str], str], None]] = {
    "nextmq": _nextmq,
    "uvicorn": _uvicorn,
    "gunicorn": _gunicorn,
    "python": _python,
    "pip": _pip,
    "pipx": _pip,
    "make": _make,
    "curl": _curl,
    "export": _export,
    "cd": _shell,
    ".": _shell,
}
