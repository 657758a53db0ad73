"""The values of query parameters: the server and LocalNextMQ take the same texts."""

from __future__ import annotations

import re
import typing as t

from .limits import MAX_ID, MAX_PAGE, MAX_PRIORITIES, MAX_PRIORITY
from .near_names import nearest
from .refusals import Refusal, invalid

MAX_DIGITS = 16
"""The most digits of a whole number in a query."""

_WHOLE = re.compile(f"-?[0-9]{{1,{MAX_DIGITS}}}")
_PRIORITIES = re.compile(r"[0-9]{1,7}(,[0-9]{1,7})*")
_FLAGS = {"true": True, "false": False}


def whole_of(name: str, text: str) -> int:
    """Return the whole number that a query parameter is. Raises Refusal."""
    if not _WHOLE.fullmatch(text):
        raise invalid(name, f"is not a whole number: write up to {MAX_DIGITS} digits")
    return int(text)


def flag_of(name: str, text: str) -> bool:
    """Return the flag that a query parameter is. Raises Refusal."""
    if text not in _FLAGS:
        raise invalid(name, "is neither true nor false")
    return _FLAGS[text]


def check_range(name: str, value: int, low: int, high: int) -> None:
    """Raise Refusal for a number that is too small or too large."""
    if not low <= value <= high:
        raise invalid(name, f"is from {low} to {high}")


def check_page(start: int, end: int) -> None:
    """Raise Refusal for a page that ends before it starts, or is too long."""
    if not start <= end < start + MAX_PAGE:
        raise invalid("end", f"is from start to start + {MAX_PAGE - 1}")


def priorities_of(text: str) -> list[int]:
    """Return the priorities that a request lists, comma-separated, each once. Raises Refusal."""
    if not _PRIORITIES.fullmatch(text):
        raise invalid("priorities", "are whole numbers, comma-separated")
    wanted = [int(number) for number in dict.fromkeys(text.split(","))]
    if len(wanted) > MAX_PRIORITIES or max(wanted) > MAX_PRIORITY:
        raise invalid("priorities", f"are at most {MAX_PRIORITIES}, each at most {MAX_PRIORITY}")
    return wanted


def check_names(given: t.Sequence[str], known: t.Collection[str]) -> None:
    """Raise Refusal for query parameters that a route does not have, or that it has twice."""
    for name in given:
        if name not in known:
            near = nearest(name, known)
            there_are = ", ".join(sorted(known))
            hint = f'did you mean "{near}"?' if near else f"there are {there_are}" if known else "there are none"
            raise invalid(name[:100], f"no such query parameter: {hint}")
    if twice := next((name for name in known if given.count(name) > 1), None):
        raise invalid(twice, "is given more than once")


def check_path_id(id: str) -> str:
    """Return the id in a path. Raises Refusal if it is longer than an id can be."""
    if len(id) > MAX_ID:
        raise Refusal(422, "invalid_request", f"the id in the path is longer than {MAX_ID} characters")
    return id
