"""The sync and the async client are alike."""

from __future__ import annotations

import inspect
import re
import typing as t
from collections.abc import Callable
from unittest.mock import AsyncMock, Mock

import pytest

from nextmq_handler import (
    AsyncFlowProducer,
    AsyncQueue,
    AsyncQueueJob,
    AsyncTriggers,
    FlowProducer,
    NextMQ,
    Queue,
    QueueJob,
    Triggers,
    _deprecated,
)
from tests.support.client import public_methods, value_of
from tests.support.handler import URL

pytestmark = pytest.mark.anyio

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


@pytest.mark.parametrize(
    ("owner", "old", "new"),
    [(Queue, "get_queue", "info"), (AsyncQueue, "get_queue", "info"), (NextMQ, "async_queues", "aqueues")],
)
async def test_an_old_name_warns_once_and_calls_the_new_one(
    owner: type, old: str, new: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_deprecated, "_warned", set())
    is_awaited = _is_awaited(getattr(owner, new))
    monkeypatch.setattr(owner, new, AsyncMock(return_value=7) if is_awaited else Mock(return_value=7))
    call = getattr(owner(URL) if owner is NextMQ else owner("emails", url=URL), old)
    with pytest.warns(DeprecationWarning, match=rf"\A{old}\(\) is now {new}\(\)\Z"):
        assert await value_of(call()) == 7
    assert await value_of(call()) == 7
