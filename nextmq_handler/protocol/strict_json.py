"""Strict JSON (protocol section 2): UTF-8, no NaN or Infinity, at most 100 levels deep."""

from __future__ import annotations

import json
import typing as t

MAX_DEPTH = 100


def loads(raw: bytes) -> t.Any:
    """Return the value of `raw`. Raises ValueError if it is not strict JSON."""
    value = parse(raw.decode("utf-8"))
    _check_depth(value, raw)
    return value


def parse(text: str) -> t.Any:
    """Return the value of JSON text without NaN or Infinity. Raises ValueError; the depth is not checked."""
    try:
        value, end = _scan(text, 0)
        return value if end == len(text) else _DECODER.decode(text)
    except StopIteration:  # it is not JSON, or has white space before it
        return _DECODER.decode(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def dumps(value: object) -> bytes:
    """Return `value` as compact ASCII JSON that `loads` accepts, and in which nothing is lost.

    Raises TypeError or ValueError.
    """
    try:
        raw = compact(value).encode("ascii")
    except RecursionError:
        raise ValueError("nested too deeply") from None
    _check_depth(value, raw)
    _check_names(value, raw)
    return raw


def compact(value: object) -> str:
    """Return `value` as compact ASCII JSON text. Raises TypeError or ValueError; the depth is not checked."""
    return _ENCODER.encode(value)


def utf8(value: object) -> bytes:
    """Return `value` as compact JSON in UTF-8, as Node's JSON.stringify writes it: `len` of it is the data's size.

    Lone surrogates, which UTF-8 cannot carry, stay escapes of six bytes. Raises TypeError or ValueError; the depth
    is not checked.
    """
    return _UTF8_ENCODER.encode(value).encode("utf-8", "backslashreplace")


def _check_depth(value: object, raw: bytes) -> None:
    """Raise ValueError if arrays and objects nest too deeply in `value`, whose JSON is `raw`."""
    if len(raw) <= 2 * MAX_DEPTH:
        return
    # The number of brackets limits how many arrays and objects are left below a level, so for most values the
    # first levels decide. replace() is faster than count().
    left = 2 * len(raw) - len(raw.replace(b"[", b"")) - len(raw.replace(b"{", b""))
    level: list[object] = [value]
    for depth in range(1, MAX_DEPTH + 1):
        left -= len(level)
        if depth + left <= MAX_DEPTH:
            return
        level = [child for parent in level for child in _children(parent) if isinstance(child, _CONTAINERS)]
    if level:
        raise ValueError(f"nested more than {MAX_DEPTH} levels deep")


def _check_names(value: object, raw: bytes) -> None:
    """Raise ValueError if keys of an object in `value`, whose JSON is `raw`, are one name there: 1 and "1"."""
    left = raw.count(b"{")  # so many dicts, or fewer: most values have few, near the top
    level: list[object] = [value]
    while left > 0 and level:
        dicts = [t.cast("dict[object, object]", each) for each in level if isinstance(each, dict)]
        left -= len(dicts)
        if any(map(one_name, dicts)):
            raise ValueError("two keys are one name in JSON")
        if left > 0:
            level = [child for parent in level for child in _children(parent) if isinstance(child, _CONTAINERS)]


def one_name(value: dict[t.Any, t.Any]) -> bool:
    """Return whether two keys of `value` are one name in JSON."""
    try:
        "".join(value)
    except TypeError:  # not all of them are text
        return len(json.loads(json.dumps(dict.fromkeys(value), skipkeys=True))) < len(_named(value))
    return False


def _named(value: dict[t.Any, t.Any]) -> list[object]:
    return [key for key in value if isinstance(key, (str, int, float, type(None)))]


def _children(value: object) -> t.Iterable[object]:
    if isinstance(value, dict):
        return t.cast("dict[str, object]", value).values()
    return t.cast("t.Iterable[object]", value) if isinstance(value, (list, tuple)) else ()


def _no_constant(name: str) -> t.NoReturn:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if number - number:  # infinity minus infinity is NaN, which is true
        raise ValueError("a number does not fit a double")
    return number


_CONTAINERS: tuple[type[t.Any], ...] = (dict, list, tuple)
_DECODER = json.JSONDecoder(parse_constant=_no_constant, parse_float=_finite)
# What the decoder calls after it has skipped white space, which compact JSON does not have around it.
_scan: t.Callable[[str, int], tuple[t.Any, int]] = t.cast("t.Any", _DECODER).scan_once
_ENCODER = json.JSONEncoder(separators=(",", ":"), allow_nan=False)
_UTF8_ENCODER = json.JSONEncoder(separators=(",", ":"), allow_nan=False, ensure_ascii=False)
