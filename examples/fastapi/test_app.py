"""The sign-up app's tests, with the queues in process: `pytest examples/fastapi`. No server, no waiting."""

from __future__ import annotations

import collections.abc
import typing as t
from pathlib import Path

import pytest
from PIL import Image
from starlette.testclient import TestClient

from nextmq_handler import Queue, Worker
from nextmq_handler.testing import LocalNextMQ, make_job, run

from . import jobs
from .app import app
from .stand_ins import Mailbox, crm_server, mail_server

HOUR = 3600
ADA = {"name": "Ada", "email": "ada@example.com"}


@pytest.fixture
def nextmq_workers() -> list[Worker]:
    """Return the workers of the fixture `nextmq`."""
    return jobs.workers


@pytest.fixture
def site() -> TestClient:
    return TestClient(app)


@pytest.fixture
def mailbox(monkeypatch: pytest.MonkeyPatch) -> collections.abc.Iterator[Mailbox]:
    with mail_server() as (mailbox, port):
        monkeypatch.setenv("SMTP_PORT", str(port))
        yield mailbox


@pytest.fixture
def crm(monkeypatch: pytest.MonkeyPatch) -> collections.abc.Iterator[None]:
    """Fails twice for each contact; throttles the first call for one whose address starts with `busy`."""
    with crm_server() as port:
        monkeypatch.setenv("CRM_URL", f"http://127.0.0.1:{port}")
        yield


def test_a_sign_up_enqueues_a_mail_and_a_contact(site: TestClient, local_nextmq: LocalNextMQ) -> None:
    site.post("/signup", json=ADA).raise_for_status()
    local_nextmq.assert_enqueued("emails", "welcome", ADA, attempts=3)
    local_nextmq.assert_enqueued("contacts", "sync", {"email": "ada@example.com"}, attempts=5)


def test_a_mail_is_sent_once_though_the_answer_to_its_delivery_is_lost(
    local_nextmq: LocalNextMQ, mailbox: Mailbox
) -> None:
    Queue("emails").add("welcome", ADA, attempts=2)
    local_nextmq.timeout_next("emails")
    local_nextmq.run_all()
    assert local_nextmq.job("emails").attempts_made == 2
    assert [message["To"] for message in mailbox.messages] == ["ada@example.com"]


def test_a_mail_to_nobody_is_not_tried_again(local_nextmq: LocalNextMQ) -> None:
    Queue("emails").add("welcome", {"name": "Nobody"}, attempts=3)
    local_nextmq.run_all()
    job = local_nextmq.job("emails", state="failed")
    assert job.attempts_made == 1
    assert "email" in (job.failed_reason or "")


@pytest.mark.usefixtures("crm")
def test_a_contact_is_tried_again_after_200_ms_and_then_400(local_nextmq: LocalNextMQ) -> None:
    backoff: t.Any = {"type": "exponential", "delay": 200}
    Queue("contacts").add("sync", {"email": "ada@example.com"}, attempts=5, backoff=backoff)
    local_nextmq.run_until_idle()
    assert local_nextmq.job("contacts", state="completed").waits == [200, 400]


@pytest.mark.usefixtures("crm")
def test_a_busy_crm_gets_a_second_of_rest_which_uses_no_attempt(local_nextmq: LocalNextMQ) -> None:
    Queue("contacts").add("sync", {"email": "busy@example.com"})
    start = local_nextmq.now
    local_nextmq.run_until_idle()
    job = local_nextmq.job("contacts", state="completed")
    assert (job.attempts_started, job.attempts_made) == (2, 1)
    assert (local_nextmq.now - start).total_seconds() == 1


def test_a_newsletter_goes_out_when_its_time_has_come(
    site: TestClient, local_nextmq: LocalNextMQ, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "examples.fastapi.jobs.time.time", local_nextmq.clock.seconds
    )  # the processor looks at a clock
    tomorrow = round(local_nextmq.now.timestamp() * 1000) + 24 * HOUR * 1000
    site.post("/newsletter", json={"email": "ada@example.com", "not_before": tomorrow}).raise_for_status()
    local_nextmq.advance(23 * HOUR)
    assert local_nextmq.job("emails").state == "delayed"
    local_nextmq.advance(HOUR)
    assert local_nextmq.job("emails").return_value == "sent to ada@example.com"


def test_an_uploaded_picture_gets_a_thumbnail(
    site: TestClient, local_nextmq: LocalNextMQ, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("examples.fastapi.app.uploads", tmp_path)
    Image.new("RGB", (640, 480)).save(tmp_path / "original.png")
    site.put("/pictures/beach.png", content=(tmp_path / "original.png").read_bytes()).raise_for_status()
    local_nextmq.run_all()
    with Image.open(tmp_path / "beach.thumbnail.png") as thumbnail:
        assert thumbnail.size == (128, 96)


def test_a_file_that_is_no_picture_fails_for_good(tmp_path: Path) -> None:
    (tmp_path / "notes.png").write_text("not a picture")
    outcome = run(jobs.pictures, make_job({"path": str(tmp_path / "notes.png")}, name="thumbnail"))
    assert outcome.unrecoverable
    assert str(outcome.error) == "UnrecoverableJobError: notes.png is not a picture"
