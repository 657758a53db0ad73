"""The options that users write: their names on the wire, and the ids that a job may have."""

from __future__ import annotations

import pytest
from bullmq.queue_keys import QueueKeys

from nextmq_handler import ConfigurationError
from nextmq_handler.rules.job_ids import QUEUE_KEYS, is_custom_id
from nextmq_handler.rules.options import job_options

WIRE = {"parent": {"id": "7", "queue": "reports"}}


def test_a_parent_is_sent_with_the_name_of_its_queue() -> None:
    assert job_options({"parent": {"id": "7", "queue_name": "reports"}}) == WIRE


def test_the_old_key_of_a_parents_queue_warns_and_is_sent() -> None:
    with pytest.warns(DeprecationWarning, match="queue_name"):
        assert job_options({"parent": {"id": "7", "queue": "reports"}}) == WIRE


def test_an_unknown_key_of_a_parent_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"parent\.queueName: no such member of parent"):
        job_options({"parent": {"id": "7", "queueName": "reports"}})


def test_the_reserved_ids_are_the_keys_of_bullmq() -> None:
    assert frozenset(QueueKeys().getKeys("queue")) == QUEUE_KEYS


NUMBERS = [
    *("0", "5", "-1", "-5", "NaN", "4503599627370497", "9007199254740992", "123456789012345680000"),
    *("18446744073709552000", "999999999999999900000", "-999999999999999900000"),
]
"""Ids of which Node says `${parseInt(id, 10)}` === id."""
NOT_NUMBERS = [
    *(
        "00123",
        "007",
        "-00",
        "-0",
        "+5",
        " 5",
        "5 ",
        "5.0",
        "1e3",
        "1e21",
        "1e+21",
        "Infinity",
        "-Infinity",
        "nan",
    ),
    *("٣", "９", "12345678901234567890", "9007199254740993", "18446744073709551616", "1000000000000000000000"),
    *("999999999999999999999", "0x10", "1_000", "--5", "5-", "9" * 256),
]
"""Ids of which it does not."""


@pytest.mark.parametrize("job_id", ["", "a:b", "wait", "waiting-children", *NUMBERS])
def test_an_id_that_bullmq_keeps_for_itself_is_not_custom(job_id: str) -> None:
    assert not is_custom_id(job_id)


@pytest.mark.parametrize("job_id", ["a", "5a", "waiting", " ", *NOT_NUMBERS])
def test_any_other_id_is_custom(job_id: str) -> None:
    assert is_custom_id(job_id)
