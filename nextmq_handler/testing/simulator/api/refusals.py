"""The shape of an answer that is an error, and those that several routes give."""

from __future__ import annotations

import typing as t


class Refusal(Exception):
    """An answer that is an error: its status, its stable code, a message for people."""

    def __init__(self, status: int, code: str, message: str, **details: t.Any) -> None:
        super().__init__(message)
        self.status = status
        self.content: dict[str, t.Any] = {"error": code, "message": message, "details": details}


def invalid(path: str, problem: str) -> Refusal:
    """422: the member at `path` of the request cannot be."""
    problems = [{"path": path, "problem": problem}]
    return Refusal(422, "invalid_request", f"{path}: {problem}", problems=problems)


def no_such_job(queue: str, job_id: str) -> Refusal:
    """404: the queue has no such job."""
    return Refusal(404, "not_found", f"queue {queue} has no job {job_id}")


def wrong_state(queue: str, job_id: str, problem: str, *, code: str = "wrong_state") -> Refusal:
    """409: the job's state does not allow the call."""
    return Refusal(409, code, f"job {job_id} of queue {queue} {problem}")
