"""The query of a request, checked before FastAPI reads it, which ignores some mistakes and converts others."""

from __future__ import annotations

import types
import typing as t

from fastapi import Request
from fastapi.dependencies.models import Dependant

from nextmq_handler.rules.queries import check_names, flag_of, whole_of

_CHECKS: dict[object, t.Callable[[str, str], object]] = {int: whole_of, bool: flag_of}

QueryRules = dict[str, t.Callable[[str, str], object] | None]
"""The parameters that a route has, each with what checks its text."""


def rules_of(dependant: Dependant) -> QueryRules:
    """Return the query parameters of a route and of what it depends on."""
    rules: QueryRules = {field.alias: _check_of(field.field_info.annotation) for field in dependant.query_params}
    for other in dependant.dependencies:
        rules |= rules_of(other)
    return rules


def check_query(request: Request, rules: QueryRules) -> None:
    """Raise Refusal for a parameter that the route does not have, or whose text is not such a value."""
    given = request.query_params.multi_items()
    check_names([name for name, _ in given], rules)
    for name, text in given:
        check = rules[name]
        if check is not None:
            check(name, text)


def _check_of(annotation: t.Any) -> t.Callable[[str, str], object] | None:
    members = t.get_args(annotation) if isinstance(annotation, types.UnionType) else (annotation,)
    return next((_CHECKS[member] for member in members if member in _CHECKS), None)
