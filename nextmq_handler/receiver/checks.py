"""What is wrong with a set-up, in words: the first-run checklist behind `handler.check()`."""

from __future__ import annotations

import typing as t
from urllib.parse import urlsplit

from ..errors import ConfigurationError
from ..settings import is_loopback, load_settings
from ..workers.worker import Worker


def check(arguments: t.Mapping[str, t.Any], symptoms: t.Iterable[str]) -> list[str]:
    """Each problem in a sentence that names the fix. `symptoms` are what deliveries have shown so far."""
    try:
        settings = load_settings(**arguments)
    except ConfigurationError as exc:
        return [str(exc), *sorted(symptoms)]
    problems: list[str] = []
    server = app_url = None
    try:
        server = settings.connection.base_url
    except ConfigurationError as exc:
        problems.append(str(exc))
    try:
        app_url = settings.app_url
    except ConfigurationError as exc:
        problems.append(str(exc))
    if server is not None and app_url is not None:
        problems += _app_url_problems(app_url, server)
    return [*problems, *sorted(symptoms)]


def timeout_problem(worker: Worker, time_left: float) -> str:
    """What is wrong where the platform ends a request in `time_left` s, before the worker's timeout."""
    return (
        f"{worker} has a timeout of {worker.options['timeout'] / 1000:g} s, and the function is ended after "
        f"{time_left:.0f} s: give the function more time than the worker, or the worker less"
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
