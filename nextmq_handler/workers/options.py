"""Check the options of a worker, and convert them to what its registration carries (protocol section 4)."""

from __future__ import annotations

import typing as t
from functools import partial

from ..errors import ConfigurationError
from ..protocol.arguments import check_queue_name, duration_ms, timeout_seconds, whole_number
from ..rules.limits import (
    MAX_BACKOFF_STRATEGIES,
    MAX_CONCURRENCY,
    MAX_DELAY_MS,
    MAX_STALLED_COUNT,
    MAX_STARTS,
    MAX_STRATEGY_DELAYS,
    MAX_TIMEOUT_MS,
    MAX_WORKER_MS,
    MIN_LOCK_MS,
)

if t.TYPE_CHECKING:
    from datetime import timedelta


class Limiter(t.TypedDict):
    """At most `max` jobs start in each `duration`, ms or a timedelta."""

    max: int
    duration: int | timedelta


class WorkerOptions(t.TypedDict, total=False):
    """The options of `Worker`, which the server enforces.

    - `concurrency`: how many jobs run at once, over all server processes; by default 1.
    - `limiter`: how many jobs may start in a period.
    - `timeout` (float s or a timedelta): how long the server waits for one delivery; by default 30 s,
      at most 15 minutes unless the server allows more.
    - `lock_duration`, `stalled_interval` (int ms or a timedelta) and `max_stalled_count` are BullMQ's; best unset.
    - `dead_letter`: the queue that gets a dead letter for each job that failed for good; True is `<name>-dlq`.
    - `backoff_strategies`: types of backoff beside BullMQ's own. With `{"slow": [1_000, 60_000]}` (int ms or a
      timedelta) a job with `backoff={"type": "slow"}` waits 1 s after its first failed attempt, then 60 s after
      each later one.
    """

    concurrency: int
    limiter: Limiter | None
    timeout: float | timedelta
    lock_duration: int | timedelta | None
    stalled_interval: int | timedelta | None
    max_stalled_count: int | None
    dead_letter: bool | str
    backoff_strategies: t.Mapping[str, t.Sequence[int | timedelta]] | None


def check_options(queue: str, options: WorkerOptions) -> dict[str, t.Any]:
    """Return the options of the worker of `queue`, in camelCase and ms.

    Raises ConfigurationError, naming the worker and the option; TypeError for a name that is not an option.
    """
    checks: dict[str, _Checked] = {
        **_CHECKS,
        "dead_letter": (False, "deadLetter", partial(_dead_letter, queue=queue)),
    }
    checked: dict[str, t.Any] = {}
    for name, value in options.items():
        if name not in checks:
            raise TypeError(f"Worker() got an unexpected keyword argument {name!r}")
        unset, key, check = checks[name]
        if value is not unset:
            checked[key] = check(f"Worker({queue!r}): {name}", value)
    return checked


def _timeout(name: str, value: t.Any) -> int:
    most = MAX_TIMEOUT_MS / 1000  # a server may allow more: then a timedelta says that it is meant
    return round(timeout_seconds(name, value, low=0.001, high=MAX_WORKER_MS // 1000, most=most) * 1000)


def _limiter(name: str, value: t.Any) -> dict[str, int]:
    members = t.cast("dict[str, t.Any]", value) if isinstance(value, dict) else {}
    if members.keys() != {"max", "duration"}:
        raise ConfigurationError(f'{name} takes {{"max": jobs, "duration": ms}}')
    return {
        "max": whole_number(f"{name}.max", members["max"], low=1, high=MAX_STARTS),
        "duration": duration_ms(f"{name}.duration", members["duration"], low=1, high=MAX_WORKER_MS),
    }


def _dead_letter(name: str, value: object, *, queue: str) -> str:
    target = check_queue_name(
        f"{queue}-dlq" if value is True else value, argument=f"{name} takes True or a queue's name; "
    )
    if target == queue:
        raise ConfigurationError(f"{name} names the worker's own queue; take another one")
    return target


def _strategies(name: str, value: object) -> dict[str, list[int]]:
    if not isinstance(value, dict):
        raise ConfigurationError(f'{name} takes delays by name, {{"slow": [1_000, timedelta(minutes=1)]}}')
    given = t.cast("dict[object, object]", value)
    if len(given) > MAX_BACKOFF_STRATEGIES:
        raise ConfigurationError(f"{name} takes at most {MAX_BACKOFF_STRATEGIES} strategies, not {len(given)}")
    if own := given.keys() & {"fixed", "exponential"}:
        raise ConfigurationError(f"{name}: {own.pop()!r} is BullMQ's own strategy: use another name")
    return {
        check_queue_name(type, argument=f"{name}: ", what="strategy name"): _delays(f"{name}[{type!r}]", delays)
        for type, delays in given.items()
    }


def _delays(name: str, value: object) -> list[int]:
    delays = t.cast("list[int | timedelta]", value) if isinstance(value, (list, tuple)) else []
    if not 1 <= len(delays) <= MAX_STRATEGY_DELAYS:
        raise ConfigurationError(
            f"{name} takes a list of 1 to {MAX_STRATEGY_DELAYS} delays, each ms or a timedelta"
        )
    return [duration_ms(f"{name}[{at}]", delay, low=0, high=MAX_DELAY_MS) for at, delay in enumerate(delays)]


_Checked = tuple[object, str, t.Callable[[str, t.Any], object]]
_duration = partial(duration_ms, low=MIN_LOCK_MS, high=MAX_WORKER_MS)

# For each option: the value that means unset (… for none), its name in the registration, its check.
_CHECKS: dict[str, _Checked] = {
    "concurrency": (..., "concurrency", partial(whole_number, low=1, high=MAX_CONCURRENCY)),
    "timeout": (..., "timeout", _timeout),
    "limiter": (None, "limiter", _limiter),
    "lock_duration": (None, "lockDuration", _duration),
    "stalled_interval": (None, "stalledInterval", _duration),
    "max_stalled_count": (None, "maxStalledCount", partial(whole_number, low=0, high=MAX_STALLED_COUNT)),
    "backoff_strategies": (None, "backoffStrategies", _strategies),
}
