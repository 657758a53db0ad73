"""Assertions about jobs: what they take, and what a failure shows."""

from __future__ import annotations

import typing as t
from datetime import timedelta

import pytest
from pydantic import BaseModel

from nextmq_handler import Queue
from nextmq_handler.testing import LocalNextMQ


class Welcome(BaseModel):
    to: str


@pytest.fixture
def mq() -> t.Iterator[LocalNextMQ]:
    with LocalNextMQ() as made:
        Queue("emails").add("welcome", {"to": "ada", "lang": "en"}, attempts=5, backoff=1000)
        Queue("emails").add("welcome", {"to": "bob", "lang": "de"}, delay=60_000)
        yield made


def test_a_job_is_found_by_name_data_and_options(mq: LocalNextMQ) -> None:
    mq.assert_enqueued("emails", "welcome")
    mq.assert_enqueued("emails", "welcome", times=2)
    mq.assert_enqueued("emails", "welcome", {"to": "ada", "lang": "en"}, times=1)
    mq.assert_enqueued("emails", "welcome", attempts=5, backoff=timedelta(seconds=1))
    mq.assert_enqueued("emails", "welcome", {"to": "bob", "lang": "de"}, delay=timedelta(minutes=1))


def test_a_model_is_compared_as_it_is_sent(mq: LocalNextMQ) -> None:
    Queue("emails").add("model", Welcome(to="eve"))
    mq.assert_enqueued("emails", "model", Welcome(to="eve"))


def test_a_failure_shows_how_the_nearest_job_differs(mq: LocalNextMQ) -> None:
    with pytest.raises(AssertionError) as caught:
        mq.assert_enqueued("emails", "welcome", {"to": "bob", "lang": "en"}, delay=60_000)
    assert str(caught.value).splitlines() == [
        "no such job 'welcome' was added to queue 'emails'; the nearest one (- expected, + found):",
        "  {",
        '    "data": {',
        '-     "lang": "en",',
        '+     "lang": "de",',
        '      "to": "bob"',
        "    },",
        '    "opts": {',
        '      "delay": 60000',
        "    }",
        "  }",
    ]


def test_a_failure_lists_the_jobs_where_none_has_the_name(mq: LocalNextMQ) -> None:
    with pytest.raises(AssertionError) as caught:
        mq.assert_enqueued("emails", "goodbye")
    assert str(caught.value).splitlines() == [
        "no such job 'goodbye' was added to queue 'emails'",
        '  emails/1 \'welcome\' waiting {"lang": "en", "to": "ada"}',
        '  emails/2 \'welcome\' delayed {"lang": "de", "to": "bob"}',
    ]


def test_a_failure_says_how_many_jobs_there_are(mq: LocalNextMQ) -> None:
    with pytest.raises(AssertionError, match="expected 1 jobs 'welcome' in queue 'emails', found 2"):
        mq.assert_enqueued("emails", "welcome", times=1)


def test_a_job_that_should_not_be_there_is_shown(mq: LocalNextMQ) -> None:
    mq.assert_not_enqueued("pages")
    mq.assert_not_enqueued("emails", "goodbye")
    with pytest.raises(AssertionError, match=r"expected no job in queue 'emails', found 2\n  emails/1 'welcome'"):
        mq.assert_not_enqueued("emails")


def test_the_only_job_is_asked_for_by_what_makes_it_the_only_one(mq: LocalNextMQ) -> None:
    assert mq.job("emails", state="delayed").data["to"] == "bob"
    with pytest.raises(AssertionError, match="expected one job called 'welcome' in queue 'emails', found 2"):
        mq.job("emails", "welcome")


def test_a_state_that_no_job_can_have_is_refused(mq: LocalNextMQ) -> None:
    with pytest.raises(ValueError, match="'done' is not a state of a job: use waiting, active"):
        mq.jobs(state="done")


def test_a_job_is_as_it_was_when_it_was_looked_at(mq: LocalNextMQ) -> None:
    before = mq.job(state="delayed")
    Queue("emails").promote_jobs()
    assert (before.state, mq.jobs()[1].state) == ("delayed", "waiting")
