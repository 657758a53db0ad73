"""The REST API of a service, whose routes are made once for all tests."""

from __future__ import annotations

import copy
import functools
import typing as t

from fastapi import FastAPI

from nextmq_server.api.app import create_app, new_state
from nextmq_server.service import Service


def rest_api(*services: Service, **options: t.Any) -> FastAPI:
    """Return what `create_app` does: to make the routes takes FastAPI longer than a test has requests for."""
    app = copy.copy(
        _made(**{name: frozenset(value) if name == "hosts" else value for name, value in options.items()})
    )
    app.state = new_state(services)
    app.middleware_stack = None  # made again, around this app
    return app


@functools.cache
def documented() -> dict[str, t.Any]:
    """Return the OpenAPI document."""
    return _made().openapi()


@functools.cache
def _made(**options: t.Any) -> FastAPI:
    return create_app(**options)
