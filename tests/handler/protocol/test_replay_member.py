"""The member of a delivery that marks a replay."""

from __future__ import annotations

import json

import pytest

from nextmq_handler.protocol.wire import parse_delivery
from tests.support.handler import delivery, encode


def is_replay(**members: object) -> bool:
    content = {**json.loads(encode(delivery())), **members}
    return parse_delivery(encode(content), content["deliveryId"]).is_replay


def test_a_delivery_is_a_replay_if_it_says_true() -> None:
    assert is_replay(replay=True)


def test_a_delivery_of_a_server_is_not_a_replay() -> None:
    assert not is_replay()


@pytest.mark.parametrize("value", [False, None, 1, "true", [], {"a": 1}])
def test_any_other_value_makes_no_replay(value: object) -> None:
    assert not is_replay(replay=value)
