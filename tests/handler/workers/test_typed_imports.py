"""pydantic is loaded for the annotations that need it, and for no others."""

import subprocess
import sys

import pytest

PROGRAM = """
import sys
import typing as t
from nextmq_handler import Job, Worker
from nextmq_handler.workers.worker import find_processor, freeze

{function}

worker = Worker("emails", process)
freeze(worker)
signature = find_processor(worker, "welcome").signature
signature.load({data})
signature.dump({result})
print("pydantic" in sys.modules)
"""


def loads_pydantic(function: str, data: object, result: object) -> bool:
    """Whether a fresh process that runs `function` with `data`, and returns `result`, has pydantic afterwards."""
    program = PROGRAM.format(function=function, data=repr(data), result=repr(result))
    process = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True)
    return process.stdout == "True\n"


@pytest.mark.parametrize(
    ("annotations", "data"),
    [
        ("(job)", {}),
        ("(job: Job)", {}),
        ("(job: Job[object])", {}),
        ("(job: Job[t.Any]) -> t.Any", {}),
        ("(job: Job[dict[str, t.Any]]) -> dict[str, t.Any]", {}),
        ("(job: Job[list[t.Any]]) -> list[int] | None", []),
        ("(job: Job[dict]) -> None", {}),
        ("(job: Job[str]) -> str", ""),
        ("(job: Job[int]) -> int", 1),
        ("(job: Job[float]) -> float", 1),
        ("(job: Job[bool]) -> bool", True),
        ("(job: 'Job[str]') -> 'str | None'", ""),
    ],
)
def test_a_plain_annotation_does_not_load_pydantic(annotations: str, data: object) -> None:
    assert not loads_pydantic(f"def process{annotations}: ...", data, None if "-> None" in annotations else data)


@pytest.mark.parametrize(
    "annotations", ["(job: Job[dict[str, int]])", "(job: Job[int | None])", "(job) -> t.Literal[1]"]
)
def test_an_annotation_that_needs_pydantic_loads_it(annotations: str) -> None:
    assert loads_pydantic(f"def process{annotations}: ...", {} if "dict" in annotations else 1, 1)
