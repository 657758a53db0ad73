"""A worker's backoff strategies: names for how long the attempts of a job are apart."""

from __future__ import annotations

import typing as t

from ..errors import ConfigurationError
from ..protocol.names import is_queue_name
from ..protocol.times import duration_ms, shown

if t.TYPE_CHECKING:
    from datetime import timedelta

_BUILT_IN = ("fixed", "exponential")
_MAX_STRATEGIES, _MAX_DELAYS = 20, 100
_MAX_MS = 10 * 365 * 86_400_000  # as for a job's delay


def checked(name: str, value: object) -> dict[str, list[int]]:
    """The strategies as the registration carries them, in ms. Raises ConfigurationError, naming `name`."""
    if not isinstance(value, dict):
        raise ConfigurationError(f'{name} takes {{"slow": [1_000, timedelta(minutes=1)]}}: delays by a name')
    strategies = t.cast("dict[object, object]", value)
    if len(strategies) > _MAX_STRATEGIES:
        raise ConfigurationError(f"{name} takes at most {_MAX_STRATEGIES} strategies, not {len(strategies)}")
    return {_type(name, type): _delays(f"{name}[{shown(type)}]", delays) for type, delays in strategies.items()}


def _type(name: str, type: object) -> str:
    if type in _BUILT_IN:
        raise ConfigurationError(f"{name}: {type!r} is BullMQ's own: call the strategy something else")
    if not isinstance(type, str) or not is_queue_name(type):
        raise ConfigurationError(
            f"{name}: {shown(type)} is no name for one: use 1 to 100 of the characters A-Z a-z 0-9 . _ ~ -"
        )
    return type


def _delays(name: str, value: object) -> list[int]:
    delays = t.cast("list[int | timedelta]", value) if isinstance(value, (list, tuple)) else []
    if not 1 <= len(delays) <= _MAX_DELAYS:
        raise ConfigurationError(f"{name} takes a list of 1 to {_MAX_DELAYS} delays, each ms or a timedelta")
    return [duration_ms(f"{name}[{at}]", delay, low=0, high=_MAX_MS) for at, delay in enumerate(delays)]
