"""Annotations whose every value is JSON already, such as `dict[str, Any] | None`. Checked without pydantic.

What a type checker accepts, fits: True is an int, and an int is a float.
"""

from __future__ import annotations

import types
import typing as t

from .user_code import kind_of

_NOTHING = (t.NoReturn, t.Never)
_PLAIN: dict[t.Any, tuple[type, ...]] = {
    str: (str,),
    int: (int,),
    float: (float, int),
    bool: (bool,),
    dict: (dict,),
    list: (list, tuple),  # both are arrays in JSON
    None: (type(None),),
    type(None): (type(None),),
}


def is_json_type(type_: t.Any) -> bool:
    """Return whether every value of the type is JSON already."""
    origin = t.get_origin(type_)
    if origin in (dict, list, t.Union, types.UnionType):
        return all(map(is_json_type, t.get_args(type_)))
    return type_ in (t.Any, *_NOTHING, *_PLAIN)


def misfit_of(value: object, type_: t.Any) -> str | None:
    """Return what of `value` does not fit a JSON type: "" for the whole, or a place. None if all fits."""
    found = _misfit(value, type_, ())
    if found is None:
        return None
    path, culprit, expected = found
    return f"{'.'.join(map(str, path))}: is of type {kind_of(culprit)}, not {named(expected)}" if path else ""


def named(type_: t.Any) -> str:
    """Return an annotation as a reader writes it."""
    if type_ in (None, type(None)):
        return "None"
    is_class = isinstance(type_, type) and not t.get_args(type_)
    return str(type_.__name__) if is_class else repr(type_).replace("typing.", "")


_Misfit = tuple[tuple[object, ...], object, t.Any]


def _misfit(value: t.Any, type_: t.Any, path: tuple[object, ...]) -> _Misfit | None:
    origin, args = t.get_origin(type_), t.get_args(type_)
    if type_ is t.Any:
        return None
    if origin in (t.Union, types.UnionType):
        found = [_misfit(value, member, path) for member in args]
        if None in found:
            return None
        inner = [misfit for misfit in found if misfit is not None and misfit[0] != path]
        return inner[0] if len(inner) == 1 else (path, value, type_)
    if not isinstance(value, _PLAIN.get(origin or type_, ())):
        return path, value, type_
    if origin is dict:
        key_type, member_type = args
        pairs = t.cast("dict[object, object]", value).items()
        keys = (_misfit(key, key_type, (*path, key)) for key, _ in pairs)
        members = (_misfit(member, member_type, (*path, key)) for key, member in pairs)
        return next(filter(None, (*keys, *members)), None)
    if origin is list:
        items = (
            _misfit(item, args[0], (*path, index))
            for index, item in enumerate(t.cast("t.Sequence[object]", value))
        )
        return next(filter(None, items), None)
    return None
