"""The sync and the async client are alike."""

from __future__ import annotations

import inspect
import re
import typing as t
from collections.abc import Callable

import pytest

from nextmq_handler import (
    AsyncFlowProducer,
    AsyncQueue,
    AsyncQueueJob,
    AsyncTriggers,
    FlowProducer,
    Queue,
    QueueJob,
    Triggers,
)
from tests.support.client import public_methods

PAIRS: list[tuple[type, type]] = [
    (Queue, AsyncQueue),
    (QueueJob, AsyncQueueJob),
    (FlowProducer, AsyncFlowProducer),
    (Triggers, AsyncTriggers),
]
both_of_a_pair = pytest.mark.parametrize(("blocking", "awaited"), PAIRS, ids=lambda kind: kind.__name__)


@both_of_a_pair
def test_both_twins_have_the_same_methods(blocking: type, awaited: type) -> None:
    assert public_methods(blocking).keys() == public_methods(awaited).keys()


@both_of_a_pair
def test_both_twins_have_the_same_signatures(blocking: type, awaited: type) -> None:
    theirs = {name: str(inspect.signature(method)) for name, method in public_methods(awaited).items()}
    ours = {name: str(inspect.signature(method)) for name, method in public_methods(blocking).items()}
    assert ours == {name: re.sub(r"\bAsync(?=[A-Z])", "", text) for name, text in theirs.items()}


@both_of_a_pair
def test_the_async_class_awaits_every_method_and_the_sync_one_none(blocking: type, awaited: type) -> None:
    kinds = {
        (_is_awaited(public_methods(blocking)[name]), _is_awaited(method))
        for name, method in public_methods(awaited).items()
    }
    assert kinds == {(False, True)}


def _is_awaited(method: Callable[..., t.Any]) -> bool:
    return inspect.iscoroutinefunction(inspect.unwrap(method))
