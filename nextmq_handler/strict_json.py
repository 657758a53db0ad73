"""JSON as protocol section 2 asks for it: UTF-8, no NaN or Infinity, depth at most 100."""

from __future__ import annotations

import json
import math
import typing as t

MAX_DEPTH = 100


def loads(raw: bytes) -> t.Any:
    """The value of `raw`. Raises ValueError for what is not strict JSON."""
    try:
        value = json.loads(raw.decode("utf-8"), parse_constant=_no_constant, parse_float=_finite)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if raw.count(b"[") + raw.count(b"{") > MAX_DEPTH and depth_exceeds(value, MAX_DEPTH):
        raise ValueError(f"nested more than {MAX_DEPTH} levels deep")
    return value


def dumps(value: object) -> bytes:
    """`value` as compact ASCII JSON that `loads` takes back. Raises TypeError or ValueError."""
    try:
        raw = json.dumps(value, separators=(",", ":"), allow_nan=False).encode("ascii")
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if raw.count(b"[") + raw.count(b"{") > MAX_DEPTH and depth_exceeds(value, MAX_DEPTH):
        raise ValueError(f"nested more than {MAX_DEPTH} levels deep")
    return raw


def depth_exceeds(value: object, limit: int) -> bool:
    """Whether arrays and objects nest more than `limit` levels deep in `value`."""
    level = [value]
    for _ in range(limit):
        level = [child for parent in level for child in children(parent)]
    return any(isinstance(value, (dict, list, tuple)) for value in level)


def children(value: object) -> t.Iterable[object]:
    if isinstance(value, dict):
        return t.cast("dict[str, object]", value).values()
    return t.cast("t.Iterable[object]", value) if isinstance(value, (list, tuple)) else ()


def _no_constant(name: str) -> t.NoReturn:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number does not fit a double")
    return number
