"""Run jobs through the Django project of this process, and print what came of them as JSON.

`python -m tests.adapters.django_runs wsgi|asgi|test-case|atomic-block`, or `first-requests` and paths: which
queues a process registers with its first request.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import sys
import threading
import typing as t
import unittest

from anyio.from_thread import start_blocking_portal
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.db import connection, transaction
from django.test import Client, RequestFactory, TestCase
from django.test.utils import setup_test_environment

from tests.adapters import django_project as project
from tests.conformance.integrations.asgi import ASGIIntegration
from tests.conformance.integrations.integration import Answer, HeaderList
from tests.conformance.integrations.wsgi import WSGIIntegration
from tests.conformance.registry_server import RegistryServer
from tests.support.handler import SECRET, delivery, encode, signed

Send = t.Callable[[str, HeaderList, bytes], Answer]
BREAKING = ("lose the connection", "violate at commit", "write twice")
"""Jobs after which a transaction around the whole request cannot go on, whoever ran them."""
_numbers = itertools.count(1)


def run(send: Send, queue: str, job_name: str, *more: tuple[bytes, bytes]) -> dict[str, t.Any]:
    """Run one job. Return its outcome, the HTTP status and whether its note is in the database."""
    text = f"note {next(_numbers)}"
    content = delivery(queue=queue, job={"name": job_name, "data": text})
    body = encode(content)
    answer = send(f"/api/nextmq/queues/{queue}", [*signed(body), *more], body)
    said = json.loads(answer.body)
    return {
        "status": answer.status,
        "outcome": said.get("outcome", said.get("error")),
        "error": said["error"]["name"] if said.get("outcome") == "failed" else None,
        "kept": project.Note.objects.filter(text=text).exists(),
    }


def jobs(send: Send, *, without: t.Collection[str] = ()) -> dict[str, t.Any]:
    """Run every job name in both workers, and after each one that always works."""
    found: dict[str, t.Any] = {}
    for worker in (project.worker, project.async_worker):
        for job_name in worker.job_names:
            if job_name not in without:
                found[f"{worker.name}: {job_name}"] = run(send, worker.name, job_name)
                found[f"{worker.name}: {job_name}, the next"] = run(send, worker.name, "return")
    return found


def runs(send: Send) -> dict[str, t.Any]:
    found = jobs(send)
    for reader in project.READERS:
        found[f"middleware: {reader}"] = run(send, "notes", "return", (b"x-reader", reader.encode()))
    return found


def _post(post: t.Callable[..., t.Any]) -> Send:
    """Return a sender that posts with Django's own test client, or to the view."""

    def send(path: str, headers: HeaderList, body: bytes) -> Answer:
        named = {name.decode(): value.decode() for name, value in headers if not name.startswith(b"content-")}
        response = post(path, body, content_type="application/json", headers=named)
        return Answer(response.status_code, [], response.content)

    return send


def _through_view(path: str, *args: t.Any, **options: t.Any) -> t.Any:
    from tests.adapters.django_urls import view

    return view(RequestFactory().post(path, *args, **options), path.removeprefix("/api/nextmq/"))


@contextlib.contextmanager
def sender(kind: str) -> t.Iterator[Send]:
    if kind == "wsgi":
        wsgi = WSGIIntegration(get_wsgi_application())
        yield lambda path, headers, body: wsgi.send("POST", path, headers, body)
    elif kind == "asgi":
        with start_blocking_portal() as portal:
            asgi = ASGIIntegration(t.cast("t.Any", get_asgi_application()), portal)
            yield lambda path, headers, body: asgi.send("POST", path, headers, body)


def in_test_case() -> dict[str, t.Any]:
    """Run the jobs inside a TestCase, whose transaction is rolled back at its end."""
    found: dict[str, t.Any] = {}

    class Jobs(TestCase):
        def test_jobs(self) -> None:
            found.update(jobs(_post(Client().post), without=BREAKING))

    setup_test_environment()
    result = unittest.TextTestRunner(stream=sys.stderr).run(unittest.defaultTestLoader.loadTestsFromTestCase(Jobs))
    assert result.wasSuccessful()
    found["left"] = project.Note.objects.count()
    return found


def in_atomic_blocks() -> dict[str, t.Any]:
    """Run each job inside an `atomic()` of the caller's own."""

    def send(path: str, headers: HeaderList, body: bytes) -> Answer:
        with transaction.atomic():
            return _post(_through_view)(path, headers, body)

    return jobs(send, without=BREAKING)


def first_requests(paths: t.Sequence[str]) -> dict[str, list[str]]:
    """Send each request in a fork of this process. Return the queues of which the server heard."""
    found: dict[str, list[str]] = {}
    for kind, path in itertools.product(("wsgi", "asgi"), paths):
        reader, writer = os.pipe()
        if os.fork() == 0:
            os.write(writer, json.dumps(first_request(kind, path)).encode())
            os._exit(0)
        os.close(writer)
        with open(reader, "rb") as result:
            found[f"{kind} {path}"] = json.load(result)
    return found


def first_request(kind: str, path: str) -> list[str]:
    """Send one request. Return the queues of which the server heard."""
    server = RegistryServer()
    os.environ["NEXTMQ_URL"] = f"nextmq+http://nmq_key:{SECRET}@{server.host}/shop"
    with sender(kind) as send:
        send(path, [], b"")
        for thread in threading.enumerate():
            if thread.name == "nextmq-registrar":
                thread.join()
    return sorted(path.removeprefix("/v1/queues/").removesuffix("/worker") for path in server.asked)


def main(kind: str, *paths: str) -> None:
    project.create_tables()
    connection.close()
    found: t.Any
    if kind == "first-requests":
        found = first_requests(paths)
    elif kind == "test-case":
        found = in_test_case()
    elif kind == "atomic-block":
        found = in_atomic_blocks()
    else:
        with sender(kind) as send:
            found = runs(send)
    print(json.dumps(found))
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
