"""Both colours of the client are alike."""

from __future__ import annotations

import inspect
import re

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
def test_both_colours_have_the_same_methods(blocking: type, awaited: type) -> None:
    assert public_methods(blocking).keys() == public_methods(awaited).keys()


@both_of_a_pair
def test_both_colours_have_the_same_signatures(blocking: type, awaited: type) -> None:
    theirs = {name: str(inspect.signature(method)) for name, method in public_methods(awaited).items()}
    ours = {name: str(inspect.signature(method)) for name, method in public_methods(blocking).items()}
    assert ours == {name: re.sub(r"\bAsync(?=[A-Z])", "", text) for name, text in theirs.items()}


@both_of_a_pair
def test_the_awaited_colour_awaits_every_method_and_the_blocking_one_none(blocking: type, awaited: type) -> None:
    colours = {
        (inspect.iscoroutinefunction(public_methods(blocking)[name]), inspect.iscoroutinefunction(method))
        for name, method in public_methods(awaited).items()
    }
    assert colours == {(False, True)}
