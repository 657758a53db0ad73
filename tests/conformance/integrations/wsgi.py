"""The WSGI integrations of this process: alone, Flask and Django, called as a server of PEP 3333 does."""

from __future__ import annotations

import io
import threading
import typing as t
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from django.conf import settings as django_settings
from django.core.handlers.asgi import ASGIHandler, ASGIRequest
from django.core.handlers.wsgi import WSGIHandler, WSGIRequest
from django.urls import path as django_path
from flask import Flask

from nextmq_adapters.django import nextmq_view
from nextmq_adapters.flask import nextmq_blueprint
from nextmq_handler.wsgi import create_nextmq_wsgi_handler

from ..setups import WORKERS, mount_of, setups
from .integration import Answer, HeaderList, split_mount, split_target

STALL = 0.15
"""How late, in s, the rest of a stalling body is: later than the impatient setup waits."""


class WSGIIntegration:
    """Calls a WSGI app as a server does, in the caller's thread."""

    def __init__(self, app: WSGIApplication) -> None:
        self._app = app

    def send(self, method: str, target: str, headers: HeaderList, body: bytes, *, stalls: bool = False) -> Answer:
        environ = _environ(method, target, headers)
        is_chunked = "CONTENT_LENGTH" not in environ
        if is_chunked:
            environ["wsgi.input_terminated"] = True
        declared = environ.get("CONTENT_LENGTH", "")
        limit = int(declared[:20]) if declared.isascii() and declared.isdigit() else 0
        environ["wsgi.input"] = _Input(body, limit=None if is_chunked else limit, stalls=stalls)
        started: list[tuple[str, list[tuple[str, str]]]] = []

        def start_response(status: str, headers: list[tuple[str, str]], exc_info: object = None) -> t.Any:
            started.append((status, headers))
            return None

        chunks = self._app(environ, t.cast("StartResponse", start_response))
        content = b"".join(chunks)
        if hasattr(chunks, "close"):
            chunks.close()
        [(status, answered)] = started
        return Answer(
            int(status[:3]),
            [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in answered],
            b"" if method == "HEAD" else content,
        )


class _Input(io.BytesIO):
    """A body as a socket hands it out: to read on where the request has ended would wait for ever."""

    def __init__(self, body: bytes, *, limit: int | None, stalls: bool) -> None:
        super().__init__(body)
        self._limit = limit
        self._stalls = stalls

    def read(self, size: int | None = -1, /) -> bytes:
        assert size is not None
        if self._limit is not None:
            assert 0 <= size <= self._limit - self.tell(), "this read would hang"
        if self._stalls:
            threading.Event().wait(STALL)
            size = 1
        return super().read(size)


def _environ(method: str, target: str, headers: HeaderList) -> WSGIEnvironment:
    path, query = split_target(target)
    environ: WSGIEnvironment = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": path.decode("latin-1"),
        "QUERY_STRING": query,
        "SERVER_NAME": "app.example",
        "SERVER_PORT": "443",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "192.0.2.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "https",
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in headers:
        key, text = name.decode("latin-1").upper().replace("-", "_"), value.decode("latin-1")
        if key in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            environ[key] = text
        else:
            key = f"HTTP_{key}"
            environ[key] = f"{environ[key]},{text}" if key in environ else text
    return environ


def alone() -> WSGIApplication:
    """No framework: the handler is the server's app."""
    apps = {name: create_nextmq_wsgi_handler(WORKERS, **options) for name, options in setups().items()}

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> t.Iterable[bytes]:
        setup, path = split_mount(environ["PATH_INFO"])
        return apps[setup]({**environ, "SCRIPT_NAME": mount_of(setup), "PATH_INFO": path}, start_response)

    return app


def flask_blueprint() -> Flask:
    app = Flask(__name__)
    for name, options in setups().items():
        app.register_blueprint(nextmq_blueprint(WORKERS, name=name, **options), url_prefix=mount_of(name))
    return app


def django_view() -> WSGIApplication:
    return django_app(_django_views())


def django_asgi_view() -> ASGIHandler:
    """Return the same project as an ASGI app."""
    configure_django()

    class Request(ASGIRequest):
        urlconf = _django_urls(_django_views())

    class Handler(ASGIHandler):
        request_class = Request

    return Handler()


def django_app(views: t.Mapping[str, t.Callable[..., t.Any]]) -> WSGIApplication:
    """Return a Django project with these views, each at its mount."""
    configure_django()

    class Request(WSGIRequest):
        urlconf = _django_urls(views)

    class Handler(WSGIHandler):
        request_class = Request

    return t.cast("WSGIApplication", Handler())


def configure_django(*, atomic: bool = False) -> None:
    """Configure the Django of this process, once: with a database in memory, and ATOMIC_REQUESTS or without."""
    if not django_settings.configured:
        django_settings.configure(
            ALLOWED_HOSTS=["*"],
            DATABASES={
                "default": {
                    "ENGINE": "django.db.backends.sqlite3",
                    "NAME": ":memory:",
                    "ATOMIC_REQUESTS": atomic,
                }
            },
            ROOT_URLCONF=(),  # each request carries its own
            MIDDLEWARE=[
                "django.middleware.common.CommonMiddleware",
                "django.middleware.csrf.CsrfViewMiddleware",
            ],
        )


def _django_views() -> dict[str, t.Callable[..., t.Any]]:
    return {mount_of(name): nextmq_view(WORKERS, **options) for name, options in setups().items()}


def _django_urls(views: t.Mapping[str, t.Callable[..., t.Any]]) -> str:
    urls = tuple(django_path(f"{mount[1:]}/<path:path>", view) for mount, view in views.items())
    return t.cast("str", urls)  # Django takes patterns too
