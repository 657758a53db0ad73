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


@pytest.mark.parametrize("job_id", ["", "5", "٣", "a:b", "wait", "waiting-children"])
def test_an_id_that_bullmq_keeps_for_itself_is_not_custom(job_id: str) -> None:
    assert not is_custom_id(job_id)


@pytest.mark.parametrize("job_id", ["a", "5a", "-5", "waiting", " "])
def test_any_other_id_is_custom(job_id: str) -> None:
    assert is_custom_id(job_id)
