"""Tell what pydantic found as an answer of the REST API tells it."""

from __future__ import annotations

import typing as t

TAG = "|"
"""The first character of a union's tags. Pydantic puts tags into paths, and users must not see them."""


def problem(path: str, text: str) -> dict[str, str]:
    """Return one entry of the error details."""
    return {"path": path, "problem": text}


def problems_of(errors: t.Iterable[t.Mapping[str, t.Any]], *, skip: int = 0) -> list[dict[str, str]]:
    """Return the error details for pydantic's `errors`; the first `skip` parts of each path are left out."""
    return [problem(_path(error["loc"][skip:]), problem_text(error)) for error in errors]


def invalid_request(problems: list[dict[str, str]]) -> dict[str, t.Any]:
    """Return the body of a 422 answer; its message has the first of the problems."""
    first = problems[0]
    message = f"{first['path'] or 'the body'}: {first['problem']}"
    return {"error": "invalid_request", "message": message, "details": {"problems": problems}}


def problem_text(error: t.Mapping[str, t.Any]) -> str:
    """Return what pydantic says of a value, without its prefix before a validator's own text."""
    return str(error["msg"]).removeprefix("Value error, ")


def _path(parts: t.Iterable[int | str]) -> str:
    return ".".join(part for part in map(str, parts) if not part.startswith(TAG))
