"""The package: its public names, and what importing it costs."""

import subprocess
import sys
from importlib import import_module

import pytest

import nextmq_handler
from tests.support.public_names import seen_by_checkers

PUBLIC: list[str] = nextmq_handler.__all__
HEAVY = {"pydantic", "httpx", "starlette", "anyio", "asyncio", "ssl", "email", "inspect", "dataclasses"}


def test_the_public_names_are_these() -> None:
    assert sorted(seen_by_checkers(nextmq_handler)) == PUBLIC


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_name_can_be_imported(name: str) -> None:
    module = seen_by_checkers(nextmq_handler)[name]
    assert getattr(nextmq_handler, name) is getattr(import_module(module, nextmq_handler.__name__), name)


def test_dir_lists_the_public_names() -> None:
    assert dir(nextmq_handler) == PUBLIC


def test_a_star_import_brings_the_public_names() -> None:
    names: dict[str, object] = {}
    exec("from nextmq_handler import *", names)
    assert sorted(names.keys() - {"__builtins__"}) == PUBLIC


@pytest.mark.parametrize("name", ["Wroker", "worker_", "_missing", "Processor"])
def test_a_name_that_does_not_exist_is_an_attribute_error_that_says_it(name: str) -> None:
    with pytest.raises(AttributeError, match=f"module 'nextmq_handler' has no attribute '{name}'"):
        getattr(nextmq_handler, name)


def test_a_name_that_does_not_exist_cannot_be_imported() -> None:
    with pytest.raises(ImportError, match="cannot import name 'Wroker'"):
        exec("from nextmq_handler import Wroker")


def loaded_by(statement: str) -> set[str]:
    """Return the top-level modules that a fresh process has after `statement`."""
    code = f"{statement}\nimport sys; print(*{{name.partition('.')[0] for name in sys.modules}})"
    process = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    return set(process.stdout.split())


@pytest.mark.parametrize(
    "statement",
    [
        "import nextmq_handler",
        "from nextmq_handler import Worker",
        "from nextmq_handler import Worker; Worker('emails', lambda job: None)",
        "from nextmq_handler import RateLimitError, UnrecoverableJobError",
        "from nextmq_handler import Job, AsyncJob",
    ],
)
def test_what_a_module_of_processors_imports_loads_nothing_heavy(statement: str) -> None:
    assert loaded_by(statement) & HEAVY == set()


def test_the_steps_of_a_delivery_load_nothing_heavy() -> None:
    assert loaded_by("import nextmq_handler.receiver.receiver, nextmq_handler.receiver.attempt") & HEAVY == set()


@pytest.mark.parametrize(
    "statement",
    [
        "from nextmq_handler import Queue, AsyncQueue, FlowProducer; Queue('emails')",
        "from nextmq_handler import create_nextmq_handler",
        "import nextmq_handler.testing",
    ],
)
def test_httpx_is_not_loaded_before_a_call_is_sent(statement: str) -> None:
    assert "httpx" not in loaded_by(statement)


def test_the_measure_sees_what_is_loaded() -> None:
    assert {"anyio", "starlette"} <= loaded_by("from nextmq_handler import create_nextmq_handler")
