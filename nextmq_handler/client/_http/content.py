"""The content of calls: JSON, and values that pydantic turns into JSON."""

from __future__ import annotations

import typing as t

from ...errors import ConfigurationError
from ...protocol import strict_json

_FIX = "send JSON values (finite numbers, text without bytes), or a pydantic model or dataclass of such"


def encode(content: object) -> bytes:
    """Encode `content` as strict JSON; pydantic writes models, dataclasses, dates and the like.

    Raises ConfigurationError, which names the place of a value that cannot be sent.
    """
    try:
        return strict_json.dumps(content)
    except TypeError:
        pass
    except ValueError as exc:
        raise _refused(content, exc) from None
    from pydantic import TypeAdapter

    from ...protocol.values import refuse_what_is_not_json

    adapter: TypeAdapter[object] = TypeAdapter(object)
    try:
        refuse_what_is_not_json(adapter.dump_python(content, warnings=False))
        return strict_json.dumps(adapter.dump_python(content, mode="json", warnings=False))
    except Exception as exc:  # noqa: BLE001 - a model's serializer may raise anything
        raise _refused(content, exc) from None


def _refused(content: object, exc: Exception) -> ConfigurationError:
    reason = " ".join(f"{type(exc).__name__}: {exc}".split())[:200]
    path = _path_to_culprit(content)
    return ConfigurationError(f"{path or 'the content'} cannot be sent as JSON ({reason}): {_FIX}")


def _path_to_culprit(content: object) -> str | None:
    """Return the place of the first value that is not JSON, such as data.prices.0."""
    path: list[str] = []
    for _ in range(strict_json.MAX_DEPTH):  # the content may hold itself
        culprits = ((name, member) for name, member in _members(content) if not _is_json(member))
        if (culprit := next(culprits, None)) is None:
            return None if _members(content) else ".".join(path)
        path.append(str(culprit[0]))
        content = culprit[1]
    return None


def _members(value: object) -> list[tuple[object, object]]:
    if isinstance(value, dict):
        return list(t.cast("dict[object, object]", value).items())
    if isinstance(value, (list, tuple)):
        return list(enumerate(t.cast("list[object]", value)))
    return []


def _is_json(value: object) -> bool:
    try:
        strict_json.dumps(value)
    except (TypeError, ValueError):
        return False
    return True
