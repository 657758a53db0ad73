"""The line of the app's own code in a failed outcome's traceback."""

from __future__ import annotations

import json
import traceback
import typing as t

import pytest

from nextmq_handler.protocol.stacks import innermost_frame


def _raise_in_the_library() -> None:
    json.loads("{")


def _raise_from() -> None:
    try:
        _raise_in_the_library()
    except ValueError as exc:
        raise KeyError("other") from exc


def _raise_a_group() -> None:
    try:
        _raise_in_the_library()
    except ValueError as exc:
        raise ExceptionGroup("several", [exc]) from None


def _stack_of(function: t.Callable[[], None]) -> str:
    with pytest.raises(Exception) as raised:  # noqa: PT011 - any
        function()
    return "".join(traceback.format_exception(raised.value))


@pytest.mark.parametrize(
    ("function", "statement"),
    [
        (_raise_in_the_library, 'json.loads("{")'),
        (_raise_from, 'raise KeyError("other") from exc'),
        (_raise_a_group, 'json.loads("{")'),
    ],
)
def test_the_frame_is_the_innermost_one_of_the_exception_raised_last(
    function: t.Callable[[], None], statement: str
) -> None:
    frame = innermost_frame(_stack_of(function))
    assert frame is not None
    assert frame.file == __file__
    with open(__file__) as file:
        assert statement in file.readlines()[frame.line - 1]


@pytest.mark.parametrize(
    "stack",
    [
        "",
        "Error: no\n    at run (/srv/app.js:1:2)",
        'Traceback (most recent call last):\n  File "/usr/lib/python3.12/json/decoder.py", line 3, in decode\n',
        'Traceback (most recent call last):\n  File "/srv/.venv/lib64/site-packages/a.py", line 3, in a\n',
        'Traceback (most recent call last):\n  File "<string>", line 3, in a\n',
        'Traceback (most recent call last):\n  File "/srv/nextmq_handler/job.py", line 3, in a\n',
    ],
)
def test_a_stack_without_code_of_the_app_has_no_frame(stack: str) -> None:
    assert innermost_frame(stack) is None
