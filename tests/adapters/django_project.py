"""A Django project with one database, and processors that write to it. A process of its own, since Django has one.

`DJANGO_DATABASE` is the sqlite file, `DJANGO_ATOMIC` is "yes" or "no": ATOMIC_REQUESTS. `DJANGO_APPS` are the
INSTALLED_APPS.
"""

from __future__ import annotations

import os
import typing as t

import django
from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import connection, models, transaction
from django.http import HttpRequest, HttpResponse

from nextmq_handler import AsyncJob, Job, RateLimitError, UnrecoverableJobError, Worker
from tests.support.handler import NOW

ATOMIC = os.environ.get("DJANGO_ATOMIC") == "yes"

settings.configure(
    ALLOWED_HOSTS=["*"],
    DATABASES={
        "default": {
            "ENGINE": "tests.adapters.lossy_sqlite",
            "NAME": os.environ["DJANGO_DATABASE"],
            "ATOMIC_REQUESTS": ATOMIC,
            "CONN_MAX_AGE": None,
            "TEST": {"NAME": os.environ["DJANGO_DATABASE"] + "-test"},
        }
    },
    INSTALLED_APPS=os.environ.get("DJANGO_APPS", "").split(),
    MIDDLEWARE=["tests.adapters.django_project.middleware"],
    ROOT_URLCONF="tests.adapters.django_urls",
)
django.setup()


class Note(models.Model):
    """A row for each job that wrote one."""

    text: models.CharField[str, str] = models.CharField(max_length=100, unique=True)

    class Meta:
        app_label = "shop"


class Tag(models.Model):
    """A row that must belong to a note, which is checked at the commit."""

    note: models.ForeignKey[Note, Note] = models.ForeignKey(Note, on_delete=models.CASCADE)

    class Meta:
        app_label = "shop"


def create_tables() -> None:
    with connection.schema_editor() as editor:
        editor.create_model(Note)
        editor.create_model(Tag)


def _write(job: Job[t.Any] | AsyncJob[t.Any]) -> None:
    Note.objects.create(text=job.data)


def _raise(exc: BaseException) -> t.NoReturn:
    raise exc


def _lose_connection() -> int:
    """Close it below Django, as a database that restarts does, and go on."""
    connection.ensure_connection()
    connection.connection.close()
    return Note.objects.count()


def _violate_at_commit() -> None:
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA defer_foreign_keys = on")
        cursor.execute("INSERT INTO shop_tag (note_id) VALUES (-1)")


THEN: dict[str, t.Callable[[Job[t.Any] | AsyncJob[t.Any]], object]] = {
    "return": lambda job: Note.objects.count(),
    "raise": lambda job: _raise(ValueError("no")),
    "give up": lambda job: _raise(UnrecoverableJobError("no")),
    "exit": lambda job: _raise(SystemExit(1)),
    "rate limit": lambda job: _raise(RateLimitError(1000)),
    "delay": lambda job: job.move_to_delayed((NOW + 60) * 1000),
    "wait for children": lambda job: job.move_to_waiting_children(),
    "return bytes": lambda job: b"no JSON",
    "lose the connection": lambda job: _lose_connection(),
    "write twice": lambda job: _write(job),
    "violate at commit": lambda job: _violate_at_commit(),
}
"""What the processors do after they have written their note."""

worker = Worker("notes")
async_worker = Worker("async-notes")


def _add(name: str, then: t.Callable[[Job[t.Any] | AsyncJob[t.Any]], object]) -> None:
    @worker.processor(name)
    def process(job):  # type: ignore[no-untyped-def]
        _write(job)
        return then(job)

    @async_worker.processor(name)
    async def async_process(job):  # type: ignore[no-untyped-def]
        await Note.objects.acreate(text=job.data)
        return await sync_to_async(then)(job)


for _name, _then in THEN.items():
    _add(_name, _then)


@worker.processor("not atomic")
@transaction.non_atomic_requests
def not_atomic(job):  # type: ignore[no-untyped-def]
    _write(job)
    raise ValueError("no")


@worker.processor("savepoint")
def savepoint(job):  # type: ignore[no-untyped-def]
    with transaction.atomic():
        _write(job)
    return Note.objects.count()


READERS: dict[str, t.Callable[[HttpRequest], object]] = {
    "body": lambda request: request.body,
    "body, twice": lambda request: (request.body, request.body),
    "body, then read": lambda request: (request.body, request.read()),
    "POST": lambda request: request.POST,
    "FILES": lambda request: request.FILES,
    "read": lambda request: request.read(),
    "read a part": lambda request: request.read(7),
    "readline": lambda request: request.readline(),
    "readlines": lambda request: request.readlines(),
    "iterate": lambda request: list(request),
}
"""What middleware does to a request's body before the view gets it, by the header x-reader."""


def middleware(get_response: t.Callable[[HttpRequest], HttpResponse]) -> t.Callable[[HttpRequest], HttpResponse]:
    def process(request: HttpRequest) -> HttpResponse:
        reader = request.headers.get("x-reader")
        if reader is not None:
            READERS[reader](request)
        if request.path == "/healthz":
            return HttpResponse("answered by the middleware")
        return get_response(request)

    return process
