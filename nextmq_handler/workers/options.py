"""Check the options of a worker, and convert them to what its registration carries (protocol section 4)."""

from __future__ import annotations

import typing as t

from ..errors import ConfigurationError
from ..protocol.names import check_queue_name, is_queue_name
from ..protocol.times import duration_ms, shown, timeout_seconds

if t.TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import timedelta

    Meaning = BaseException | type[BaseException] | t.Callable[[t.Any], BaseException]

_MAX_MS = 7 * 86_400_000
_MAX_STRATEGIES, _MAX_DELAYS = 20, 100
_MAX_BACKOFF_MS = 10 * 365 * 86_400_000  # as for a job's delay


class Limiter(t.TypedDict):
    """At most `max` jobs start in each `duration`, ms or a timedelta."""

    max: int
    duration: int | timedelta


def check_options(
    worker: object,
    queue: str,
    *,
    concurrency: int,
    limiter: Limiter | None,
    timeout: float | timedelta,
    lock_duration: int | timedelta | None,
    stalled_interval: int | timedelta | None,
    max_stalled_count: int | None,
    dead_letter: bool | str,
    backoff_strategies: Mapping[str, Sequence[int | timedelta]] | None,
) -> dict[str, t.Any]:
    """Return the options in camelCase and ms. Raises ConfigurationError, naming `worker` and the option."""
    longest = _MAX_MS // 1000
    options: dict[str, t.Any] = {
        "concurrency": whole_number(f"{worker}: concurrency", concurrency, low=1, high=10_000),
        "timeout": round(timeout_seconds(f"{worker}: timeout", timeout, low=0.001, high=longest) * 1000),
    }
    if limiter is not None:
        options["limiter"] = _limiter(f"{worker}: limiter", limiter)
    for name, key, value in (
        ("lock_duration", "lockDuration", lock_duration),
        ("stalled_interval", "stalledInterval", stalled_interval),
    ):
        if value is not None:
            options[key] = duration_ms(f"{worker}: {name}", value, low=1000, high=_MAX_MS)
    if max_stalled_count is not None:
        name = f"{worker}: max_stalled_count"
        options["maxStalledCount"] = whole_number(name, max_stalled_count, low=0, high=1000)
    if dead_letter is not False:
        options["deadLetter"] = _dead_letter(f"{worker}: dead_letter", dead_letter, queue)
    if backoff_strategies is not None:
        options["backoffStrategies"] = _strategies(f"{worker}: backoff_strategies", backoff_strategies)
    return options


def check_errors(
    worker: object, errors: Mapping[type[BaseException], Meaning]
) -> dict[type[BaseException], t.Callable[[t.Any], object]]:
    """Return, for each exception type of `errors`, the function that makes its meaning.

    Raises ConfigurationError, naming `worker` and the entry, for an entry that cannot work.
    """
    if not hasattr(errors, "keys"):
        raise ConfigurationError(f"{worker}: errors takes a dict of exception types, not {shown(errors)}")
    for kind in errors:
        if not _is_exception_type(kind):
            raise ConfigurationError(f"{worker}: errors maps exception types, not {kind!r}")
    return {kind: _meaning(f"{worker}: errors[{kind.__name__}]", value) for kind, value in errors.items()}


def whole_number(name: str, value: object, *, low: int, high: int) -> int:
    """Return `value`. Raises ConfigurationError if it is not an int from `low` to `high`."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ConfigurationError(f"{name} takes a whole number from {low} to {high}, not {shown(value)}")
    return value


def _limiter(name: str, value: t.Any) -> dict[str, int]:
    members = t.cast("dict[str, t.Any]", value) if isinstance(value, dict) else {}
    if members.keys() != {"max", "duration"}:
        raise ConfigurationError(f'{name} takes {{"max": jobs, "duration": ms}}')
    return {
        "max": whole_number(f"{name}.max", members["max"], low=1, high=2**31),
        "duration": duration_ms(f"{name}.duration", members["duration"], low=1, high=_MAX_MS),
    }


def _dead_letter(name: str, value: object, queue: str) -> str:
    try:
        target = check_queue_name(f"{queue}-dlq" if value is True else value)
    except ConfigurationError as exc:
        raise ConfigurationError(f"{name} takes True or a queue's name; {exc}") from None
    if target == queue:
        raise ConfigurationError(f"{name} names the worker's own queue; take another one")
    return target


def _strategies(name: str, value: object) -> dict[str, list[int]]:
    if not isinstance(value, dict):
        raise ConfigurationError(f'{name} takes delays by name, {{"slow": [1_000, timedelta(minutes=1)]}}')
    given = t.cast("dict[object, object]", value)
    if len(given) > _MAX_STRATEGIES:
        raise ConfigurationError(f"{name} takes at most {_MAX_STRATEGIES} strategies, not {len(given)}")
    return {_strategy(name, type): _delays(f"{name}[{shown(type)}]", delays) for type, delays in given.items()}


def _strategy(name: str, type: object) -> str:
    if type in ("fixed", "exponential"):
        raise ConfigurationError(f"{name}: {type!r} is BullMQ's own strategy: use another name")
    if not isinstance(type, str) or not is_queue_name(type):
        raise ConfigurationError(
            f"{name}: {shown(type)} is not a strategy name: use 1 to 100 of the characters A-Z a-z 0-9 . _ ~ -"
        )
    return type


def _delays(name: str, value: object) -> list[int]:
    delays = t.cast("list[int | timedelta]", value) if isinstance(value, (list, tuple)) else []
    if not 1 <= len(delays) <= _MAX_DELAYS:
        raise ConfigurationError(f"{name} takes a list of 1 to {_MAX_DELAYS} delays, each ms or a timedelta")
    return [duration_ms(f"{name}[{at}]", delay, low=0, high=_MAX_BACKOFF_MS) for at, delay in enumerate(delays)]


def _is_exception_type(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseException)


def _meaning(name: str, value: object) -> t.Callable[[t.Any], object]:
    if isinstance(value, BaseException):
        return _tested(name, type(value), _copies(value))
    if isinstance(value, type):
        if not issubclass(value, BaseException):
            raise ConfigurationError(f"{name} is the class {value.__name__}, which is not an exception")
        return _tested(name, value, _instances(value))
    if not callable(value):
        raise ConfigurationError(
            f"{name} takes an exception, its class, or a function of the exception, not {shown(value)}"
        )
    return value


def _copies(value: BaseException) -> t.Callable[[BaseException], BaseException]:
    from copy import copy

    # A new one for each failure: an exception keeps the cause and the traceback of where it was raised.
    return lambda _: copy(value)


def _instances(kind: type[BaseException]) -> t.Callable[[BaseException], BaseException]:
    def make(exc: BaseException) -> BaseException:
        made = kind()
        if not made.args:
            made.args = (exc,)  # its message is that of `exc`
        return made

    return make


def _tested(
    name: str, kind: type[BaseException], make: t.Callable[[BaseException], BaseException]
) -> t.Callable[[BaseException], BaseException]:
    try:
        make(Exception())
    except Exception as exc:  # noqa: BLE001 - a class may raise anything
        raise ConfigurationError(
            f"{name}: {kind.__name__} cannot be made anew for each failure ({exc}): "
            f"give a function, lambda exc: {kind.__name__}(…)"
        ) from None
    return make
