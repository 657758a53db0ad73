"""What the integrations in other processes serve: every setup, as an ASGI app, a Flask app and a function."""

from __future__ import annotations

import functools
import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Callable
    from wsgiref.types import WSGIApplication

    from django.core.handlers.asgi import ASGIHandler
    from flask import Flask
    from starlette.types import ASGIApp


def asgi() -> ASGIApp:
    """For uvicorn and hypercorn."""
    from .integrations.asgi import starlette_mount

    return starlette_mount()


def flask() -> Flask:
    """For gunicorn."""
    from .integrations.wsgi import flask_blueprint

    return flask_blueprint()


def django_wsgi(*, atomic: bool = False) -> WSGIApplication:
    """For gunicorn."""
    from .integrations.wsgi import configure_django, django_view

    configure_django(atomic=atomic)
    return django_view()


def django_asgi(*, atomic: bool = False) -> ASGIHandler:
    """For uvicorn."""
    from .integrations.wsgi import configure_django, django_asgi_view

    configure_django(atomic=atomic)
    return django_asgi_view()


def django_asgi_atomic() -> ASGIHandler:
    """For uvicorn, with ATOMIC_REQUESTS."""
    return django_asgi(atomic=True)


def function(event: t.Any, context: t.Any) -> t.Any:
    """For the Lambda runtime."""
    return _function()(event, context)


@functools.cache
def _function() -> Callable[[t.Any, t.Any], t.Any]:
    from .integrations.aws_lambda import function_of_all_setups

    return function_of_all_setups()
