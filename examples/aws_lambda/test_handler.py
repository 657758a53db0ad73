"""The function's tests, with the queues in process: `pytest examples/aws_lambda`. No server, no waiting."""

from __future__ import annotations

import collections.abc

import pytest

from nextmq_handler import Queue, Worker
from nextmq_handler.testing import LocalNextMQ, deliver, make_job, run

from . import handler as function
from .stand_ins import MailingService, mailing_service

READERS = ["ada@example.com", "bob@example.com"]


@pytest.fixture
def nextmq_workers() -> list[Worker]:
    """Return the workers of the fixture `nextmq`."""
    return [function.letters, function.subscribers]


@pytest.fixture
def mail(monkeypatch: pytest.MonkeyPatch) -> collections.abc.Iterator[MailingService]:
    with mailing_service() as (service, url):
        monkeypatch.setattr(function, "MAIL_URL", url)
        yield service


def test_a_letter_is_written() -> None:
    outcome = run(function.letters, make_job({"name": "Ada", "product": "teapot"}, name="render"))
    assert outcome.value == "Dear Ada,\nyour teapot is on its way.\n"


def test_the_function_answers_a_signed_delivery(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEXTMQ_WEBHOOK_SECRETS", "a-secret-of-the-tests-long-enough")
    job = make_job({"name": "Ada", "product": "teapot"}, name="render", queue_name="letters")
    assert deliver(function.handler, job, path="").outcome.completed


def test_a_letter_reaches_everybody_once_though_its_delivery_comes_twice(
    local_nextmq: LocalNextMQ, mail: MailingService
) -> None:
    Queue("letters").add("send", {"to": READERS, "text": "We have teapots."})
    local_nextmq.run_all()
    assert local_nextmq.redeliver(local_nextmq.job("letters")) == {"sent": 2}
    assert mail.messages == dict.fromkeys(READERS, 1)


def test_an_import_stores_every_address(local_nextmq: LocalNextMQ, mail: MailingService) -> None:
    Queue("subscribers").add("import", {"addresses": READERS})
    local_nextmq.run_all()
    assert local_nextmq.job("subscribers").return_value == {"imported": 2}
    assert mail.subscribers == dict.fromkeys(READERS, 1)


def test_an_import_goes_on_where_the_last_delivery_has_stopped(mail: MailingService) -> None:
    job = make_job({"addresses": READERS}, name="import", progress=1)
    assert run(function.subscribers, job).value == {"imported": 2}
    assert mail.subscribers == {"bob@example.com": 1}
