"""Processes killed with SIGKILL while they work: no job is lost."""

from __future__ import annotations

import signal
import typing as t

if t.TYPE_CHECKING:
    from .conftest import Circle


def test_a_job_whose_app_was_killed_completes_on_a_later_attempt(circle: Circle) -> None:
    circle.start_server()
    app = circle.start_app()
    job = circle.queue().add("wait", attempts=3, backoff=100)
    circle.wait_for_starts(job.id)

    app.kill()
    circle.go.touch()
    circle.start_app()

    finished = circle.wait_until_finished(job.id)
    assert (finished.state, finished.return_value, finished.attempts_made) == ("completed", "went", 2)


def test_no_job_is_lost_when_the_server_is_killed_with_50_waiting_and_5_active(circle: Circle) -> None:
    server = circle.start_server()
    circle.start_app()
    jobs = [circle.queue().add("wait") for _ in range(55)]
    circle.wait_for_starts(*(job.id for job in jobs[:5]))
    counts = circle.queue().get_job_counts()
    assert (counts["waiting"], counts["active"]) == (50, 5)

    server.kill()
    circle.start_server()
    circle.go.touch()

    states = {circle.wait_until_finished(job.id).state for job in jobs}
    assert states == {"completed"}
    assert circle.queue().get_job_counts()["completed"] == 55


def test_jobs_in_flight_are_finished_before_a_server_stops(circle: Circle) -> None:
    server = circle.start_server()
    circle.start_app()
    job = circle.queue().add("wait")
    circle.wait_for_starts(job.id)

    server.send_signal(signal.SIGTERM)
    server.wait_for_line("Shutting down")
    circle.go.touch()
    server.wait_for_line("Stopped.")
    circle.start_server()

    assert (circle.job(job.id).state, circle.starts()) == ("completed", [job.id])
