"""The report app's tests, with the queue in process: `pytest examples/flask`. No server, no waiting."""

from __future__ import annotations

import collections.abc

import pytest
from flask.testing import FlaskClient

from nextmq_handler import Worker
from nextmq_handler.testing import LocalNextMQ, deliver, make_job

from . import orders, stand_ins
from .app import app
from .jobs import reports


@pytest.fixture
def nextmq_workers() -> list[Worker]:
    """Return the workers of the fixture `nextmq`."""
    return [reports]


@pytest.fixture
def browser() -> FlaskClient:
    return app.test_client()


@pytest.fixture(autouse=True)
def quick_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orders, "QUERY_TIME", 0)


@pytest.fixture
def bank(monkeypatch: pytest.MonkeyPatch) -> collections.abc.Iterator[None]:
    monkeypatch.setattr(stand_ins, "ANSWER_TIME", 0)
    with stand_ins.bank_server() as port:
        monkeypatch.setenv("BANK_URL", f"http://127.0.0.1:{port}")
        yield


def test_a_report_that_waits_has_a_page_that_says_so(browser: FlaskClient, local_nextmq: LocalNextMQ) -> None:
    page = browser.post("/reports", data={"kind": "by-currency", "year": 2025}, follow_redirects=True)
    local_nextmq.assert_enqueued("reports", "by-currency", {"year": 2025}, attempts=3)
    assert "is <strong>waiting</strong>" in page.text


def test_the_page_of_a_finished_report_shows_its_totals(browser: FlaskClient, local_nextmq: LocalNextMQ) -> None:
    ordered = browser.post("/reports", data={"kind": "by-currency", "year": 2025})
    local_nextmq.run_all()
    page = browser.get(ordered.location)
    assert "is <strong>completed</strong>, 100 % done" in page.text
    assert "<th>GBP</th><td>3,377.48</td>" in page.text


@pytest.mark.usefixtures("bank")
def test_a_report_in_euros_asks_the_bank(browser: FlaskClient, local_nextmq: LocalNextMQ) -> None:
    browser.post("/reports", data={"kind": "in-euros", "year": 2025})
    local_nextmq.run_all()
    assert local_nextmq.job("reports").return_value == {"EUR": "11,074.71"}


def test_a_bank_that_is_closed_is_asked_again_after_1_and_2_seconds(
    browser: FlaskClient, local_nextmq: LocalNextMQ
) -> None:
    local_nextmq.fail_next("reports", ConnectionError("the bank is closed"), times=3)
    browser.post("/reports", data={"kind": "in-euros", "year": 2025})
    local_nextmq.run_until_idle()
    job = local_nextmq.job("reports", state="failed")
    assert (job.waits, job.failed_reason) == ([1000, 2000], "ConnectionError: the bank is closed")


def test_an_unknown_kind_of_report_is_not_ordered(browser: FlaskClient, local_nextmq: LocalNextMQ) -> None:
    assert browser.post("/reports", data={"kind": "by-mood", "year": 2025}).status_code == 400
    local_nextmq.assert_not_enqueued("reports")


def test_a_delivery_whose_body_was_changed_on_its_way_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEXTMQ_WEBHOOK_SECRETS", "a-secret-of-the-tests-long-enough")
    job = make_job({"year": 2025}, name="by-currency", queue_name="reports")
    answer = deliver(app, job, path="/api/nextmq", mutate=lambda body: body.replace(b"2025", b"2024"))
    assert (answer.status, answer.error) == (401, "unauthorized")
