"""nextmq_handler.testing: its public names, and what importing it costs."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

from nextmq_handler import testing
from tests.support.public_names import seen_by_checkers

PUBLIC: list[str] = testing.__all__
HEAVY = {"pydantic", "httpx", "starlette", "anyio", "asyncio", "ssl", "pytest", "flask", "django"}
A_TEST = """
from nextmq_handler import Worker
from nextmq_handler.testing import make_job, run
job = make_job({"n": 1})
assert run(Worker("emails", lambda job: job.update_progress(job.data["n"])), job).completed
assert job.progress_updates == [1]
"""
IN_PROCESS = """
from nextmq_handler import Queue, Worker
from nextmq_handler.testing import LocalNextMQ
with LocalNextMQ(workers=[Worker("emails", lambda job: None)]) as mq:
    Queue("emails").add("welcome", {"n": 1})
    mq.run_all()
"""


def loaded_by(code: str) -> set[str]:
    """Return the top-level modules that a fresh process has after `code`."""
    code += "\nimport sys; print(*{name.partition('.')[0] for name in sys.modules})"
    process = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    return set(process.stdout.split())


def test_the_public_names_are_these() -> None:
    assert sorted(seen_by_checkers(testing)) == PUBLIC


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_name_can_be_imported(name: str) -> None:
    module = seen_by_checkers(testing)[name]
    assert getattr(testing, name) is getattr(import_module(module, testing.__name__), name)


def test_dir_lists_the_public_names() -> None:
    assert dir(testing) == PUBLIC


def test_a_name_that_does_not_exist_is_an_attribute_error_that_says_it() -> None:
    with pytest.raises(AttributeError, match=r"module 'nextmq_handler\.testing' has no attribute 'make_jobs'"):
        getattr(testing, "make_jobs")  # noqa: B009 - a checker reports the plain way


def test_importing_it_loads_nothing_heavy() -> None:
    assert loaded_by("import nextmq_handler.testing") & HEAVY == set()


def test_a_test_of_a_def_processor_loads_nothing_heavy() -> None:
    assert loaded_by(A_TEST) & HEAVY == set()


def test_a_queue_in_process_needs_no_httpx() -> None:
    assert "httpx" not in loaded_by(IN_PROCESS)


def test_a_job_without_options_in_process_loads_no_pydantic() -> None:
    assert "pydantic" not in loaded_by(IN_PROCESS)


def test_the_measure_sees_what_is_loaded() -> None:
    assert {"asyncio"} <= loaded_by(IN_PROCESS)
