"""Turn JSON into the Python values that a type asks for, and Python values into JSON.

pydantic is loaded only for a type that JSON itself does not cover.
"""

from __future__ import annotations

import sys
import typing as t

from ..errors import ConfigurationError, DataError, ResultError
from . import strict_json
from .json_types import is_json_type, misfit_of, named
from .user_code import is_interrupt, kind_of, text_of

if t.TYPE_CHECKING:
    from pydantic import TypeAdapter

_REFUSED = "is refused by its validator"
# Errors whose text may quote the value, which must not reach a log.
_QUOTING = {
    "value_error": _REFUSED,
    "assertion_error": _REFUSED,
    "union_tag_invalid": "has a tag that none of the union's types has",
}
_PLAIN = (dict, list, str, int, float, bool)


class Signature:
    """The types of a job's data and of its result: load the one, dump the other.

    `returns_json` says that the processor turns its result into JSON by itself.
    """

    def __init__(self, data_type: t.Any, result_type: t.Any, *, returns_json: bool = False) -> None:
        self.data_type: t.Any = data_type
        self.result_type: t.Any = result_type
        self._plain = _plain_class(data_type)
        self._is_free = returns_json or result_type is t.Any
        self._is_json = is_json_type(result_type)
        self._adapters: dict[str, TypeAdapter[t.Any]] = {}

    def load(self, data: t.Any, name: str = "data") -> t.Any:
        """Convert `data` to its type. Raises DataError, which calls the data `name`."""
        if self.data_type is t.Any:
            return data
        plain = self._plain
        if plain is not None:
            if isinstance(data, plain) and (plain is bool or not isinstance(data, bool)):
                return data
            if plain is float and type(data) is int and abs(data) <= sys.float_info.max:
                return float(data)  # JSON has one kind of number
            raise DataError(f"{name}: is not of type {plain.__name__}")
        from pydantic import ValidationError

        try:
            return self._adapter("data", self.data_type).validate_json(strict_json.dumps(data))
        except ValidationError as exc:
            raise DataError(_problems(exc, name)) from None
        except Exception as exc:
            raise DataError(f"{name}: its validator raised {kind_of(exc)}") from exc

    def dump(self, result: t.Any) -> t.Any:
        """Convert `result` to JSON values. Raises ResultError if it does not fit its type, or is not JSON."""
        if self._is_free:
            return result
        try:
            if self._is_json:
                misfit, plain = misfit_of(result, self.result_type), result
            else:
                misfit, plain = self._dumped(result)
        except BaseException as exc:
            if is_interrupt(exc):
                raise
            told = text_of(exc) if issubclass(type(exc), ValueError) else f"{kind_of(exc)}: {text_of(exc)}"
            raise ResultError(f"the return value is not JSON: {told}") from None
        if misfit is not None:
            text = (
                f"the return value is of type {kind_of(result)}, but the annotation is {named(self.result_type)}"
            )
            raise ResultError(f"{text}: {misfit}" if misfit else text)
        return plain

    def _dumped(self, result: t.Any) -> tuple[str | None, t.Any]:
        """Return what does not fit the type, None if all does, and the JSON values.

        A result fits if its objects are what the type names, or if a reader finds the type in its JSON.
        """
        from pydantic import ValidationError
        from pydantic_core import PydanticSerializationError

        from .plain import jsonable, read_through, settled

        adapter, result = self._adapter("result", self.result_type), settled(result)
        try:
            read_through(adapter.validate_python(result, strict=True))
        except ValidationError as exc:
            misfit = _problems(exc, "")
        else:
            return None, jsonable(result, adapter)
        try:
            plain = jsonable(result, self._adapter("any", t.Any))
            read_through(adapter.validate_json(strict_json.dumps(plain), strict=True))
        except (ValidationError, PydanticSerializationError):
            return misfit, None
        return None, plain

    def schema(self) -> dict[str, t.Any] | None:
        """Return the JSON Schema of the data; None if its type is not known or has no schema."""
        if self.data_type is t.Any:
            return None
        try:
            schema = self._adapter("data", self.data_type).json_schema()
            strict_json.dumps(schema)  # a default may be NaN
        except Exception:  # noqa: BLE001 - a type that validates need not have a schema
            return None
        return schema

    def check(self, owner: str) -> None:
        """Raise ConfigurationError, naming `owner`, if pydantic cannot validate one of the types."""
        try:
            # A validator has a title only once every name in its type is resolved.
            if self.data_type is not t.Any and self._plain is None:
                _ = self._adapter("data", self.data_type).validator.title
            if not self._is_json:
                _ = self._adapter("result", self.result_type).validator.title
        except Exception as exc:  # noqa: BLE001 - pydantic's schema errors share no public base
            problem = str(exc).partition("\n")[0]
            raise ConfigurationError(f"{owner}: its annotation cannot be validated: {problem}") from None

    def _adapter(self, name: str, type_: t.Any) -> TypeAdapter[t.Any]:
        if name not in self._adapters:
            from pydantic import TypeAdapter

            self._adapters[name] = TypeAdapter(type_)
        return self._adapters[name]


def _plain_class(type_: t.Any) -> type | None:
    """Return the class to check by isinstance alone, for a JSON type that has nothing inside to validate."""
    if type_ in _PLAIN:
        return t.cast("type", type_)
    if t.get_origin(type_) in (dict, list) and t.get_args(type_) in ((str, t.Any), (t.Any,)):
        return t.cast("type", t.get_origin(type_))
    return None


def _problems(exc: t.Any, name: str) -> str:
    from pydantic_core import core_schema

    shown: list[str] = []
    for error in exc.errors(include_url=False, include_context=False, include_input=False):
        path = ".".join(map(str, (name, *error["loc"]))).strip(".")
        is_quiet = error["type"] in t.get_args(core_schema.ErrorType) and error["type"] not in _QUOTING
        told = error["msg"] if is_quiet else _QUOTING.get(error["type"], _REFUSED)
        shown.append(f"{path}: {told}" if path else told)
    return "; ".join(shown)
