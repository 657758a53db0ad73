"""An exit that the platform raises in a processor is named as what it is, with the fix."""

from __future__ import annotations

import json
import sys
import threading
import time
import typing as t
from types import SimpleNamespace

import pytest
from gunicorn.workers.base import Worker as GunicornWorker

from nextmq_handler import Job, Worker
from nextmq_handler.wsgi import NextMQWSGIHandler
from tests.conformance.integrations.processes import start_server
from tests.support.handler import SECRET, as_def, delivery, encode, outcome_of, signed

HERE = __name__


def app() -> NextMQWSGIHandler:
    """For gunicorn: a worker whose jobs run until something ends them."""
    return NextMQWSGIHandler([Worker("emails", run_for_ever)], webhook_secrets=SECRET)


def run_for_ever(job: Job) -> None:
    threading.Event().wait()


def of_gunicorn() -> t.Any:
    return SimpleNamespace(alive=True, cfg=SimpleNamespace(worker_abort=lambda worker: None))


def abort(job: t.Any) -> None:
    GunicornWorker.handle_abort(of_gunicorn(), 6, None)


def leave(job: t.Any) -> None:
    sys.exit(1)


def from_a_finally(job: t.Any) -> None:
    try:
        abort(job)
    finally:
        job.data = None


def test_gunicorns_timeout_is_named_in_the_outcome() -> None:
    server = start_server(
        ["gunicorn", f"{HERE}:app()", "--bind", "127.0.0.1:0", "--timeout", "1", "--log-level", "info"],
        "Listening at: http://",
    )
    try:
        body = encode(delivery())
        answer = server.send("POST", "/queues/emails", signed(body, at=int(time.time())), body)
    finally:
        server.stop()
    error = json.loads(answer.body)["error"]
    assert (answer.status, error["name"]) == (200, "WorkerTimeout")
    assert "gunicorn's --timeout" in error["message"]


ENDS: dict[str, tuple[t.Callable[[t.Any], None], str]] = {
    "gunicorn's timeout": (abort, "WorkerTimeout"),
    "gunicorn's timeout through a finally": (from_a_finally, "WorkerTimeout"),
    "an exit of the processor's own": (leave, "SystemExit"),
}


@pytest.mark.anyio
@pytest.mark.parametrize(("end", "name"), ENDS.values(), ids=ENDS)
async def test_an_exit_is_named_by_who_raised_it(end: t.Callable[[t.Any], None], name: str) -> None:
    outcome = await outcome_of(as_def(end))
    assert outcome["error"]["name"] == name
