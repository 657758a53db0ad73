"""LocalNextMQ agrees with a real server and real BullMQ: on states, attempts, order, results, reasons, flows."""

from __future__ import annotations

import difflib
import functools
import itertools
import pprint
import typing as t
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from .both import Played, play_for_real, play_locally
from .histories import HISTORIES, History

BATCH = 100
"""How many histories run side by side on one server."""

MORE_BATCHES = 20
"""How many such batches the long form has beside that one."""

_PER_SEED = 12
_SHOWN = 3


class Difference(t.NamedTuple):
    """A history that the two sides played differently."""

    history: History
    real: Played
    local: dict[str, t.Any]


def test_the_simulator_agrees_with_real_bullmq(tmp_path: Path) -> None:
    _check(drawn(BATCH, first_seed=0), tmp_path)


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("batch", range(1, MORE_BATCHES + 1))
def test_the_simulator_agrees_with_real_bullmq_in_many_more(batch: int, tmp_path: Path) -> None:
    _check(drawn(BATCH, first_seed=batch * 1000), tmp_path)


def test_histories_of_every_kind_are_drawn() -> None:
    kinds = [history.kind for history in drawn(BATCH, first_seed=0)]
    few = [
        kind for kind in ("duplicates", "flow", "order", "scheduler", "time") if kinds.count(kind) < BATCH // 20
    ]
    assert not few


@functools.cache
def drawn(count: int, *, first_seed: int) -> list[History]:
    """So many histories, the same ones in each run.

    Of each seed a few: hypothesis begins with the simplest ones, and goes on with variations of what it had.
    """
    found: dict[str, History] = {}
    for number in itertools.count(first_seed):
        found |= {repr(history): history for history in _drawn_with(number)}
        if len(found) >= count:
            return [*found.values()][:count]
    raise AssertionError("not reached")


def _drawn_with(number: int) -> list[History]:
    histories: list[History] = []

    @seed(number)
    @settings(
        max_examples=_PER_SEED,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        derandomize=False,
        suppress_health_check=list(HealthCheck),
    )
    @given(HISTORIES)
    def draw(history: History) -> None:
        histories.append(history)

    draw()
    return histories[2:]


def _check(histories: t.Sequence[History], folder: Path) -> None:
    """Fail where LocalNextMQ and BullMQ disagree, twice.

    A real server delivers at least once: on a busy machine it may deliver a job again whose delivery was late.
    """
    first = _differing(histories, folder / "first")
    differing = _differing([each.history for each in first], folder / "second")
    shown = "\n".join(_shown(each) for each in differing[:_SHOWN])
    assert not differing, f"{len(differing)} of {len(histories)} histories differ\n{shown}"


def _differing(histories: t.Sequence[History], folder: Path) -> list[Difference]:
    if not histories:
        return []
    local = [play_locally(history) for history in histories]
    real = play_for_real(histories, folder)
    both = itertools.starmap(Difference, zip(histories, real, local, strict=True))
    return [each for each in both if each.real.report != each.local]


def _shown(each: Difference) -> str:
    theirs, ours = (pprint.pformat(side, width=110).splitlines() for side in (each.real.report, each.local))
    diff = difflib.unified_diff(theirs, ours, "real BullMQ", "LocalNextMQ", lineterm="")
    return "\n".join([pprint.pformat(each.history, width=110), *diff, *each.real.log])
