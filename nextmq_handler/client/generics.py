"""Queue[Data, Result]: what the brackets mean at run time."""

from __future__ import annotations

import functools
import typing as t

from ..protocol.values import Signature
from ..rules.options import Data as Data

if t.TYPE_CHECKING:
    from typing_extensions import TypeVar

    Result = TypeVar("Result", default=t.Any)
else:
    Result = t.TypeVar("Result")


class Types:
    """The types of a queue's data and results. Both are validated as a processor's data is."""

    __slots__ = ("_data", "_result")

    def __init__(self, data_type: t.Any = t.Any, result_type: t.Any = t.Any) -> None:
        self._data = _signature(data_type)
        self._result = _signature(result_type)

    def load_data(self, data: t.Any) -> t.Any:
        """Validate data into its type. Raises DataError, and ConfigurationError for a type pydantic cannot use."""
        self._data.check("the type of the data of Queue[…]")
        return self._data.load(data)

    def load_result(self, result: t.Any) -> t.Any:
        """Validate a result into its type. Raises what `load_data` raises."""
        self._result.check("the type of the results of Queue[…]")
        return self._result.load(result, "return value")


def _signature(type_: t.Any) -> Signature:
    return Signature(t.Any if isinstance(type_, t.TypeVar) or type_ is object else type_, t.Any)


ANY = Types()


class Typed(t.Generic[Data, Result]):
    """A class that takes the types of the jobs' data and results in brackets."""

    if not t.TYPE_CHECKING:

        def __class_getitem__(cls, arguments):
            # TypeVars have defaults only from Python 3.13 on. A single type is that of the data.
            pair = arguments if isinstance(arguments, tuple) else (arguments,)
            return super().__class_getitem__((*pair, t.Any)[: max(2, len(pair))])


def types_of(thing: Typed[t.Any, t.Any]) -> Types:
    """Return the types in the brackets that `thing`, or its class, was made with."""
    bases = (getattr(thing, "__orig_class__", None), *getattr(type(thing), "__orig_bases__", ()))
    arguments = next((pair for base in bases if len(pair := t.get_args(base)) == 2), ())
    return _types(*arguments) if arguments else ANY


@functools.lru_cache(maxsize=256)
def _types(data_type: t.Any, result_type: t.Any) -> Types:
    return Types(data_type, result_type)
