"""The simulator drives the receiver that production drives: its replay guard too."""

import typing as t
from types import SimpleNamespace

from nextmq_handler import Worker
from nextmq_handler.protocol.wire import JobRecord
from nextmq_handler.receiver.attempt import Attempt
from nextmq_handler.receiver.sync_driver import run_attempt
from nextmq_handler.testing import VirtualClock
from nextmq_handler.testing.simulator.engine.delivering import LocalApp


def delivered(app: LocalApp, delivery_id: str) -> tuple[str, int | None]:
    """Deliver a job, and return its outcome and the status of the answer."""
    record = JobRecord({"id": "1", "name": "welcome"})
    job = SimpleNamespace(**vars(record), queue_name="emails")
    steps = app.deliver(t.cast("t.Any", job), delivery_id, None)
    while True:
        try:
            step = next(steps)
        except StopIteration as end:
            outcome, status = end.value
            return type(outcome).__name__, status
        assert isinstance(step, Attempt)  # the worker has no hooks
        step.outcome = run_attempt(step)


def test_a_delivery_id_is_accepted_once() -> None:
    app = LocalApp([Worker("emails", lambda job: None)], VirtualClock())
    answers = [delivered(app, delivery_id) for delivery_id in ("dlv_1", "dlv_1", "dlv_2")]
    assert answers == [("Completed", 200), ("Failed", 409), ("Completed", 200)]
