"""The content of calls: JSON, and values that pydantic turns into JSON."""

from __future__ import annotations

from ...errors import ConfigurationError
from ...protocol import strict_json

_FIX = "send JSON values (finite numbers, text without bytes), or a pydantic model or dataclass of such"


def encode(content: object) -> bytes:
    """Encode `content` as strict JSON; pydantic writes models, dataclasses, dates and the like.

    Raises ConfigurationError, which names the place of a value that cannot be sent.
    """
    try:
        return strict_json.dumps(content)
    except (TypeError, ValueError):
        return _encode_other(content)


def _encode_other(content: object) -> bytes:
    from pydantic import TypeAdapter

    from ...protocol.plain import Unfit, jsonable, place_of, settled

    adapter: TypeAdapter[object] = TypeAdapter(object)

    def write(value: object) -> bytes:
        return strict_json.dumps(jsonable(value, adapter))

    try:
        content = settled(content)
        return write(content)
    except Unfit as exc:
        where, reason = exc.path, f"it {exc.problem}"
    except Exception as exc:  # noqa: BLE001 - a model's serializer may raise anything
        where, reason = place_of(content, write), " ".join(f"{type(exc).__name__}: {exc}".split())[:200]
    raise ConfigurationError(f"{where or 'the content'} cannot be sent as JSON ({reason}): {_FIX}")
