"""Registrations in the background: a server whose answers a test holds back, and the threads that wait for it."""

import contextlib
import threading
from collections.abc import Iterator

import httpx
import respx

from nextmq_handler import Worker
from nextmq_handler.settings import load_settings
from tests.support.handler import APP_URL, URL

OK = httpx.Response(200, json={})
CONFLICT = httpx.Response(409, json={"error": "worker_conflict", "details": {"fields": ["url"]}})
REFUSED = httpx.Response(422, json={"error": "invalid_request", "message": "schedules.0: no cron pattern"})
EMAILS = Worker("emails", lambda job: "done")
SETTINGS = load_settings(url=URL, app_url=APP_URL, environ={})
PATH = "/v1/queues/emails/worker"


def registrations() -> set[threading.Thread]:
    """Return the threads that are registering workers."""
    return {thread for thread in threading.enumerate() if thread.name == "nextmq-registrar"}


def join_registrations() -> None:
    """Wait until nothing registers any more."""
    for thread in registrations():
        thread.join()


class HeldServer:
    """Answers no registration before it is let go."""

    def __init__(self) -> None:
        self.arrived, self.go = threading.Event(), threading.Event()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.arrived.set()
        self.go.wait()
        return OK


@contextlib.contextmanager
def held(server: respx.MockRouter) -> Iterator[HeldServer]:
    """Hold back the server's answers meanwhile. At the end nothing registers any more."""
    answer = HeldServer()
    server.put(PATH).mock(side_effect=answer)
    try:
        yield answer
    finally:
        answer.go.set()
        join_registrations()
