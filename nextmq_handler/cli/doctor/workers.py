"""The rungs of the workers: each is registered, as this code says, and the server reaches the app."""

from __future__ import annotations

import typing as t

from ... import _overrides
from ...client._http.pools import http_client
from ...errors import NextMQHTTPError
from ...receiver.checks import LIFESPAN
from ...registration.body import registration_of, worker_url
from ...rules.log_text import one_line
from ...rules.near_names import nearest
from ...settings import is_loopback
from ...workers.worker import Worker
from ..failure import line_of
from .endpoints import look_at_endpoints
from .findings import Asking, Findings, good, unknown, wrong
from .settings import Handler, Setup

REGISTERS_WITHIN = 3.0
"""How long, in s, an app that was just asked for its health may take to register."""

HEALTH_TIMEOUT = 5.0
"""How long, in s, the app may take to answer its health check."""

_POLL = 0.1

Registrations = dict[str, dict[str, t.Any]]
"""The registrations that the server holds, by queue."""


def look_at_workers(setup: Setup, asking: Asking) -> Findings[None]:
    """Compare the registrations with the handler's workers, and have the server try the endpoints."""
    held = _registrations(asking)
    if setup.handler is None:
        if not held:
            yield wrong("worker", "no app has registered a worker", _HOW_TO_REGISTER)
            return
        yield good("worker", f"{len(held)} registered: {_some(held)}")
        yield from look_at_endpoints(asking, held)
        return
    own = {worker.name: worker for worker in setup.handler.workers}
    missing = [name for name in own if name not in held]
    if missing:
        yield from _look_at_missing(setup, setup.handler, asking, missing)
        held = _registrations(asking)
    for name, worker in own.items():
        if name in held:
            yield from _compare(setup, asking, worker)
    yield from look_at_endpoints(asking, {name: held[name] for name in own if name in held})


def _registrations(asking: Asking) -> Registrations:
    return {each["queue"]: each["registration"] for page in asking.pages("workers") for each in page["workers"]}


def _look_at_missing(setup: Setup, handler: Handler, asking: Asking, missing: list[str]) -> Findings[None]:
    """Say why workers are not registered. Asking an app for its health makes it register, if it runs."""
    names = ", ".join(missing)
    settings = setup.settings
    problem = _health_problem(settings.app_url)
    if problem is not None:
        yield wrong("worker", f"{names}: not registered, and {problem}", _HOW_TO_REGISTER)
        return
    until = _overrides.monotonic() + REGISTERS_WITHIN
    while not (held := _registrations(asking)).keys() >= set(missing) and _overrides.monotonic() < until:
        _overrides.sleep(_POLL)
    late = [name for name in missing if name in held]
    if late and hasattr(handler, "lifespan"):
        yield wrong("worker", f"{', '.join(late)}: the app registered only when its /health was asked", LIFESPAN)
    for name in missing:
        if name not in held:
            near = nearest(name, held)
            hint = f'; did you mean "{near}", which is registered?' if near else ""
            yield wrong(
                "worker",
                f"{name}: not registered, and the app at {settings.app_url} runs{hint}",
                "restart the app with this code and this NEXTMQ_URL; its log says why it does not register",
            )


def _compare(setup: Setup, asking: Asking, worker: Worker) -> Findings[None]:
    """Compare the registration of a worker with the one that this code would make."""
    body = registration_of(worker, setup.settings)
    try:
        found = asking.find("PUT", "queues", worker.name, "worker", query={"dryRun": True}, content=body)
    except NextMQHTTPError as exc:
        if exc.status != 422:
            raise
        if "dryRun" in line_of(exc):
            yield unknown("worker", f"{worker.name}: registered; the server is too old to say what differs")
            return
        yield wrong("worker", f"{worker.name}: the server refuses this registration: {line_of(exc)}")
        return
    if found is None:
        yield unknown("worker", f"{worker.name}: the server does not say what differs")
    elif found["differences"]:
        differences = "; ".join(one_line(str(each), 200) for each in found["differences"])
        yield wrong(
            "worker",
            f"{worker.name}: registered differently from this code: {differences}",
            "restart the app with this code, or run nextmq register module:handler",
        )
    else:
        yield good("worker", f"{worker.name}: registered at {worker_url(worker, setup.settings)}")


def _health_problem(app_url: str) -> str | None:
    """Return why the app does not answer its health check; None if it does."""
    import httpx

    url = f"{app_url}/health"
    host = httpx.URL(url).host
    try:
        answer = http_client(is_local=is_loopback(host)).get(url, timeout=HEALTH_TIMEOUT)
    except (httpx.HTTPError, httpx.InvalidURL) as exc:
        return f"the app does not answer at {url}: {one_line(str(exc) or type(exc).__name__, 200)}"
    if answer.status_code == 404:
        return f"the app has no handler at {app_url}: mount it there, or correct NEXTMQ_APP_URL"
    if not answer.is_success:
        return f"the app answers {answer.status_code} to {url}"
    return None


def _some(names: t.Collection[str]) -> str:
    shown = sorted(names)[:_SHOWN]
    return ", ".join(shown) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")


_SHOWN = 10
_HOW_TO_REGISTER = (
    "start the app: an ASGI handler registers with its lifespan, others with their first request; or run nextmq "
    "register module:handler"
)
