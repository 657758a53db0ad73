"""What the exceptions of a processor mean: the `errors` of a worker."""

from __future__ import annotations

import typing as t
from copy import copy
from functools import partial

from ..errors import ConfigurationError
from ..protocol.arguments import shown

Meaning = BaseException | type[BaseException] | t.Callable[[t.Any], BaseException]
Translator = t.Callable[[BaseException], BaseException]


def translator(owner: str, errors: t.Mapping[type[BaseException], Meaning]) -> Translator:
    """Return the function that turns an exception into what it means: itself if no entry matches its type.

    Raises ConfigurationError, naming `owner` and the entry, for an entry that cannot work.
    """
    if not hasattr(errors, "keys"):
        raise ConfigurationError(f"{owner}: errors takes a dict of exception types, not {shown(errors)}")
    makers = {kind: _maker(owner, kind, value) for kind, value in errors.items()}

    def translate(exc: BaseException) -> BaseException:
        make = next((make for kind, make in makers.items() if isinstance(exc, kind)), None)
        if make is None:
            return exc
        try:
            meaning = make(exc)
        except BaseException as raised:  # noqa: BLE001 - the function may also raise what it means
            meaning = raised
        if not isinstance(meaning, BaseException):
            given = type(meaning).__name__
            meaning = TypeError(f"{owner}: errors[{type(exc).__name__}] gave {given}, not an exception")
        if meaning is not exc and meaning.__cause__ is None:
            meaning.__cause__ = exc
        return meaning

    return translate


def _maker(owner: str, mapped: object, value: object) -> t.Callable[[t.Any], object]:
    if not isinstance(mapped, type) or not issubclass(mapped, BaseException):
        raise ConfigurationError(f"{owner}: errors maps exception types, not {mapped!r}")
    name = f"{owner}: errors[{mapped.__name__}]"
    if isinstance(value, BaseException):
        kind, make = type(value), partial(_copied, value)
    elif isinstance(value, type):
        if not issubclass(value, BaseException):
            raise ConfigurationError(f"{name} is the class {value.__name__}, which is not an exception")
        kind, make = value, partial(_made, value)
    elif callable(value):
        return value
    else:
        raise ConfigurationError(
            f"{name} takes an exception, its class, or a function of the exception, not {shown(value)}"
        )
    try:
        make(Exception())
    except Exception as exc:  # noqa: BLE001 - a class may raise anything
        raise ConfigurationError(
            f"{name}: {kind.__name__} cannot be made anew for each failure ({exc}): "
            f"give a function, lambda exc: {kind.__name__}(…)"
        ) from None
    return make


def _copied(value: BaseException, _exc: BaseException) -> BaseException:
    # A new one for each failure: an exception keeps the cause and the traceback of where it was raised.
    return copy(value)


def _made(kind: type[BaseException], exc: BaseException) -> BaseException:
    made = kind()
    if not made.args:
        made.args = (exc,)  # its message is that of `exc`
    return made
