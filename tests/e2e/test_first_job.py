"""A fresh server, a fresh app, no manual call: the app registers itself and its first job completes."""

from __future__ import annotations

import typing as t

import pytest

if t.TYPE_CHECKING:
    from .conftest import Circle


@pytest.mark.parametrize(
    ("target", "path"), [("app:handler", ""), ("app:app", "/api/nextmq")], ids=["alone", "mounted in FastAPI"]
)
def test_the_first_job_of_a_fresh_app_on_a_fresh_server_completes(circle: Circle, target: str, path: str) -> None:
    circle.start_server()
    circle.start_app(target, path)

    job = circle.queue().add("echo", {"n": [1, None, "ä☃😀"]})

    finished = circle.wait_until_finished(job.id)
    assert (finished.state, finished.return_value) == ("completed", {"n": [1, None, "ä☃😀"]})


def test_jobs_added_before_the_app_exists_complete_when_it_comes(circle: Circle) -> None:
    circle.start_server()
    jobs = [circle.queue().add("echo", n) for n in range(3)]

    circle.start_app()

    assert [circle.wait_until_finished(job.id).return_value for job in jobs] == [0, 1, 2]


def test_an_app_that_starts_before_the_server_registers_when_the_server_comes(circle: Circle) -> None:
    circle.start_server().stop()  # leaves the key and the secret behind
    circle.start_app()

    circle.start_server()

    job = circle.queue().add("echo", "late")
    assert circle.wait_until_finished(job.id).return_value == "late"


def test_a_stopped_server_says_goodbye_and_exits_0(circle: Circle) -> None:
    server = circle.start_server()

    status = server.stop()

    assert (status, server.lines[-1]) == (0, "Stopped.\n")
