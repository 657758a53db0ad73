"""LocalNextMQ agrees with a real server and real BullMQ: on states, attempts, order, results, reasons, flows."""

from __future__ import annotations

import difflib
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

BATCHES = 21
"""How many such batches the long form has beside the first one."""

_PER_SEED = 12
_SHOWN = 3


def test_the_simulator_agrees_with_real_bullmq(tmp_path: Path) -> None:
    _check(drawn(BATCH, first_seed=0), tmp_path)


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("batch", range(1, BATCHES))
def test_the_simulator_agrees_with_real_bullmq_in_many_more(batch: int, tmp_path: Path) -> None:
    _check(drawn(BATCH, first_seed=batch * 1000), tmp_path)


def test_histories_of_every_kind_are_drawn() -> None:
    kinds = [history.kind for history in drawn(BATCH, first_seed=0)]
    few = [
        kind for kind in ("duplicates", "flow", "order", "scheduler", "time") if kinds.count(kind) < BATCH // 20
    ]
    assert not few


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
    local = [play_locally(history) for history in histories]
    real = play_for_real(histories, folder)
    differing = [each for each in zip(histories, real, local, strict=True) if each[1].report != each[2]]
    shown = "\n".join(_shown(*each) for each in differing[:_SHOWN])
    assert not differing, f"{len(differing)} of {len(histories)} histories differ\n{shown}"


def _shown(history: History, real: Played, local: t.Any) -> str:
    theirs, ours = (pprint.pformat(side, width=110).splitlines() for side in (real.report, local))
    diff = difflib.unified_diff(theirs, ours, "real BullMQ", "LocalNextMQ", lineterm="")
    return "\n".join([pprint.pformat(history, width=110), *diff, *real.log])
