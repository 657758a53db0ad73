"""The integrations, and the one table of what cannot be sent to them: such cases are not generated."""

from __future__ import annotations

import typing as t

from nextmq_server.conformance.cases import Trait

ASGI = ("asgi", "starlette", "fastapi-mount", "fastapi-router", "litestar")
WSGI = ("wsgi", "flask", "django")
LAMBDA = ("lambda-url", "lambda-rest", "alb", "alb-multi")
IN_PROCESS = (*ASGI, *WSGI, *LAMBDA)
DJANGO_SERVERS = ("gunicorn-django", "gunicorn-django-atomic", "uvicorn-django", "uvicorn-django-atomic")
SERVERS = ("uvicorn", "hypercorn", "gunicorn-flask", *DJANGO_SERVERS)
PROCESSES = (*SERVERS, "awslambdaric")
INTEGRATIONS = (*IN_PROCESS, *PROCESSES)

DRIVERS = ("asgi", "flask", "lambda-url")
"""One integration for each way in which a request reaches the handler."""

_FLASK = ("flask", "gunicorn-flask")
_DJANGO = ("django", *DJANGO_SERVERS)
_GUNICORN = ("gunicorn-flask", "gunicorn-django", "gunicorn-django-atomic")
_DJANGO_ASGI = ("uvicorn-django", "uvicorn-django-atomic")
_OWN_THREAD = (*WSGI, *_GUNICORN, *_DJANGO_ASGI)
_EVENTS = (*LAMBDA, "awslambdaric")


DJANGO_READS_FIRST = "under ASGI, Django reads the whole body before any code of the app runs"


def _all(integrations: tuple[str, ...], reason: str) -> dict[str, str]:
    return dict.fromkeys(integrations, reason)


CANNOT: dict[Trait, dict[str, str]] = {
    Trait.SPACES: _all(SERVERS, "HTTP servers take the spaces around a value off"),
    Trait.CONTROLS: _all(SERVERS, "HTTP servers refuse control characters themselves"),
    Trait.REPEATED: _all(("alb",), "a load balancer with single values keeps the last of repeated headers"),
    Trait.REPEATED_TYPE: {
        **_all((*WSGI, *_GUNICORN), "CGI's CONTENT_TYPE holds one value, the last"),
        **_all(("alb",), "a load balancer with single values keeps the last of repeated headers"),
    },
    Trait.LONG_HEADER: _all(SERVERS, "HTTP servers refuse a head of that size themselves"),
    Trait.DECLARED_ALONE: _all(_DJANGO_ASGI, DJANGO_READS_FIRST),
    Trait.NO_LENGTH: _all(_DJANGO, "Django takes a body without a length for an empty one"),
    Trait.FALSE_LENGTH: {
        **_all(SERVERS, "HTTP servers cut the body to its declared length, or wait for the rest"),
        **_all(WSGI, "a WSGI body has the length that its CONTENT_LENGTH says"),
    },
    Trait.NOT_A_LENGTH: {
        **_all(SERVERS, "HTTP servers refuse such a length themselves"),
        **_all(WSGI, "a WSGI body has the length that its CONTENT_LENGTH says"),
    },
    Trait.STALLING: {
        **_all(_EVENTS, "an event holds a whole body"),
        **_all(_DJANGO_ASGI, DJANGO_READS_FIRST),
    },
    Trait.LOWER_CASE_METHOD: {
        **_all(_GUNICORN, "gunicorn refuses methods in lower case itself"),
        **_all(("hypercorn",), "hypercorn hands methods over in upper case"),
        **_all(_DJANGO_ASGI, "Django hands methods over in upper case"),
    },
    Trait.OWN_METHOD: _all(_FLASK, "Flask's router answers 405 itself to methods that no route lists"),
    Trait.DOUBLED_SLASH: {
        **_all(_FLASK, "Flask redirects to the path with single slashes"),
        **_all(("litestar",), "Litestar takes doubled slashes for single ones"),
    },
    Trait.NEWLINE: _all((*_FLASK, *_DJANGO), "the framework's own router answers 404"),
    Trait.MOUNT_ITSELF: _all((*_FLASK, *_DJANGO), "the framework's own router answers 404"),
    Trait.ENDING_A_THREAD: {
        **_all((*_OWN_THREAD, *_EVENTS), "a def processor runs in the request's own thread, which nothing ends")
    },
    Trait.TOGETHER: {
        **_all(_EVENTS, "an execution environment takes one event at a time"),
        **_all(_GUNICORN, "one sync worker takes one request at a time"),
    },
}


def can_send(integration: str, traits: t.Collection[Trait]) -> bool:
    """Whether an integration can be sent a case with these traits."""
    return not any(integration in CANNOT.get(trait, {}) for trait in traits)
