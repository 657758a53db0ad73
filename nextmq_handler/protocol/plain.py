"""What of a value JSON can carry: iterators become lists; what would change or get lost is refused by its path.

Loaded only for values that are not plain JSON, and to say why one cannot be sent.
"""

from __future__ import annotations

import enum
import math
import operator
import typing as t
from collections import deque
from itertools import islice

from . import strict_json
from .user_code import kind_of, text_of

if t.TYPE_CHECKING:
    from pydantic import TypeAdapter

MAX_ITEMS = 2**20
"""The most items of an iterator. Each takes at least two bytes of JSON."""

_MAX_SHOWN = 200  # characters of a path

Path = tuple[object, ...]
_ITEMS: t.Callable[[t.Any], t.Iterable[tuple[object, t.Any]]] = dict[object, t.Any].items
"""How pydantic reads a dict, whatever `items` of a subclass says."""
_SEQUENCES: tuple[type[t.Any], ...] = (list, tuple, set, frozenset, deque)
_BYTES = (bytes, bytearray, memoryview)
_NAMES = (str, int, float, type(None))


class Unfit(ValueError):
    """JSON cannot carry the value at `path` (empty: the whole value). `problem` says why, and quotes nothing."""

    def __init__(self, path: Path, problem: str) -> None:
        self.path: str = _shown(path)
        self.problem = problem
        super().__init__(f"{self.path or 'it'} {problem}")


def settled(value: t.Any, path: Path = (), *, is_json: bool = False) -> t.Any:
    """Return `value` with each iterator in it as a list; `value` itself if it has none.

    Raises Unfit for bytes, NaN, keys that are one name in JSON, and what is too deep. With `is_json` it raises for
    everything that is not a JSON value; else pydantic decides what becomes of other objects.
    """
    if isinstance(value, float):
        if not math.isfinite(value):
            raise Unfit(path, "is NaN or an infinity")
        return value
    if isinstance(value, _NAMES):
        return value
    if isinstance(value, _BYTES):
        raise Unfit(path, "holds bytes; encode them, in base64 say")
    if len(path) >= strict_json.MAX_DEPTH:
        raise Unfit((), f"is nested more than {strict_json.MAX_DEPTH} levels deep")
    if isinstance(value, dict):
        return _settled_dict(t.cast("dict[object, t.Any]", value), path, is_json)
    if isinstance(value, (list, tuple) if is_json else _SEQUENCES):
        return _settled_items(t.cast("t.Collection[t.Any]", value), path, is_json)
    if is_json:
        raise Unfit(path, f"is of type {kind_of(value)}")
    if isinstance(value, enum.Enum):
        settled(value.value, path)
        return value
    return _settled_items(_listed(value, path), path, is_json) if _is_iterator(value) else value


def jsonable(value: t.Any, adapter: TypeAdapter[t.Any]) -> t.Any:
    """Return `value` as JSON values, as `adapter` writes them. Raises Unfit, or what pydantic raises."""
    value = settled(value)
    python = adapter.dump_python(value, warnings=False)
    inner = settled(python)  # what models hold
    if inner is python:
        return adapter.dump_python(value, mode="json", warnings=False)
    from pydantic import TypeAdapter

    # The iterators in models are used up now.
    return TypeAdapter(t.Any).dump_python(inner, mode="json", warnings=False)


def read_through(value: t.Any) -> None:
    """Read the iterators in `value`: pydantic validates those of an Iterable as they are read."""
    if _is_iterator(value):
        value = list(value)
    if isinstance(value, dict):
        value = list(t.cast("dict[object, t.Any]", value).values())
    if isinstance(value, (list, tuple)):
        for part in t.cast("t.Sequence[t.Any]", value):
            read_through(part)


def place_of(value: t.Any, write: t.Callable[[t.Any], object]) -> str:
    """Return the path of the innermost part of `value` that `write` cannot write; "" for the whole."""
    path: Path = ()
    while True:
        culprits = ((name, part) for name, part in _parts(value) if not _is_written(part, write))
        if (culprit := next(culprits, None)) is None:
            return _shown(path)
        path, value = (*path, culprit[0]), culprit[1]


def problem_of(value: object) -> str:
    """Return why JSON cannot carry `value`: where, and what is there."""
    try:
        settled(value, is_json=True)
    except Unfit as exc:
        return str(exc)
    except BaseException as exc:  # noqa: BLE001 - the value's own code may raise anything
        return f"reading it raised {kind_of(exc)}"
    return "it cannot be written as JSON, or is nested too deeply"


def _is_iterator(value: object) -> bool:
    return hasattr(type(value), "__next__")


def _shown(path: Path) -> str:
    return ".".join(map(text_of, path))[:_MAX_SHOWN]


def _parts(value: object) -> t.Iterable[tuple[object, t.Any]]:
    if isinstance(value, dict):
        return t.cast("dict[object, t.Any]", value).items()
    return enumerate(t.cast("t.Sequence[t.Any]", value)) if isinstance(value, (list, tuple)) else ()


def _is_written(value: object, write: t.Callable[[t.Any], object]) -> bool:
    try:
        write(value)
    except Exception:  # noqa: BLE001 - a model's serializer may raise anything
        return False
    return True


def _settled_dict(value: dict[object, t.Any], path: Path, is_json: bool) -> t.Any:
    items: t.Iterable[tuple[object, t.Any]] = _ITEMS(value)
    _check_names(value, path, is_json)
    new = {key: settled(member, (*path, key), is_json=is_json) for key, member in items}
    return value if all(new[key] is member for key, member in items) else new


def _settled_items(value: t.Collection[t.Any], path: Path, is_json: bool) -> t.Any:
    new = [settled(item, (*path, index), is_json=is_json) for index, item in enumerate(value)]
    return value if all(map(operator.is_, new, value)) else new


def _listed(value: t.Iterator[t.Any], path: Path) -> list[t.Any]:
    items = list(islice(value, MAX_ITEMS + 1))
    if len(items) > MAX_ITEMS:
        raise Unfit(path, f"is an iterator of more than {MAX_ITEMS} items")
    return items


def _check_names(value: dict[object, t.Any], path: Path, is_json: bool) -> None:
    keys: list[object] = [key for key, _ in _ITEMS(value)]
    if all(type(key) is str for key in keys):
        return
    for key in keys:
        if isinstance(key, _BYTES) or (isinstance(key, float) and not math.isfinite(key)):
            raise Unfit(path, "has a key that is bytes, NaN or an infinity")
        if is_json and not isinstance(key, _NAMES):
            raise Unfit(path, f"has a key of type {kind_of(key)}")
    if strict_json.one_name(value) or (not is_json and _is_one_name_in_pydantic(value)):
        raise Unfit(path, "has two keys that are one name in JSON, such as 1 and '1'")


def _is_one_name_in_pydantic(value: dict[object, t.Any]) -> bool:
    from pydantic_core import to_jsonable_python

    return len(to_jsonable_python(dict.fromkeys(value), fallback=text_of)) < len(value)
