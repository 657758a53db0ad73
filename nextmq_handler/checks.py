"""What is wrong with a set-up, in words: the first-run checklist behind `handler.check()`."""

from __future__ import annotations

import typing as t
from urllib.parse import urlsplit

from .errors import ConfigurationError
from .settings import is_loopback, load_settings
from .worker import Worker

_SYMPTOMS = {
    "clock": (
        "a delivery was refused for its timestamp: this machine's clock and the server's differ by more than the "
        "tolerance, or an old request was sent again; synchronise the clocks"
    ),
    "body": (
        "a delivery came with a length but without a body: something, often a middleware that parses forms, reads "
        "the body before the handler does; mount the handler outside of it"
    ),
}


def check(arguments: t.Mapping[str, t.Any], workers: t.Sequence[Worker], symptoms: t.Iterable[str]) -> list[str]:
    """Each problem in a sentence that names the fix. `symptoms` are what deliveries have shown so far."""
    problems: list[str] = []
    try:
        settings = load_settings(**arguments)
        server = settings.connection.base_url
    except ConfigurationError as exc:
        return [str(exc), *_shown(symptoms)]
    try:
        problems += _app_url_problems(settings.app_url, server)
    except ConfigurationError as exc:
        problems.append(str(exc))
    return [*problems, *_shown(symptoms)]


def timeout_problem(worker: Worker, time_left: float) -> str | None:
    """What is wrong where the platform ends a request in `time_left` s, before the worker's timeout."""
    timeout = worker.options["timeout"] / 1000
    if timeout <= time_left:
        return None
    return (
        f"{worker} has a timeout of {timeout:g} s, and the function is ended after {time_left:.0f} s: give the "
        "function more time than the worker, or the worker less"
    )


def _app_url_problems(app_url: str, server: str) -> t.Iterator[str]:
    app, server_host = urlsplit(app_url), urlsplit(server).hostname or ""
    host = app.hostname or ""
    if is_loopback(host) and not is_loopback(server_host):
        yield (
            f"NEXTMQ_APP_URL is {app_url}, which the server at {server_host} cannot reach: set the public URL of "
            "this app"
        )
    elif app.scheme == "http" and not is_loopback(host):
        yield f"NEXTMQ_APP_URL is {app_url}: without https anyone on the way can read the jobs"


def _shown(symptoms: t.Iterable[str]) -> list[str]:
    return [_SYMPTOMS[symptom] for symptom in symptoms]
