"""What is wrong with a set-up, in words: the checklist behind `handler.check()`."""

from __future__ import annotations

import typing as t
from urllib.parse import urlsplit

from ..errors import ConfigurationError
from ..settings import is_loopback, load_settings
from ..workers.worker import Worker

CLOCK_SKEW = (
    "a delivery was refused for its timestamp: this machine's clock and the server's differ by more than the "
    "tolerance, or an old request was sent again; synchronise the clocks"
)
BODY_READ = (
    "a delivery came without its body, or without a part of it: something, often a middleware or a hook that "
    "parses or logs bodies, reads it before the handler does; mount the handler outside of it, or let it keep the "
    "bytes for those behind it"
)

LIFESPAN = (
    "nobody has run this handler's lifespan in this process, so it has not registered its workers: pass "
    "lifespan=handler.lifespan to the app that the server runs, since the lifespan of a mounted app does not run, "
    "and switch lifespans on in the server or the adapter; or register at deploy with nextmq register "
    "module:handler"
)


def check(arguments: t.Mapping[str, t.Any], symptoms: t.Iterable[str]) -> list[str]:
    """Return a sentence for each problem, with its fix. `symptoms` are what deliveries have shown so far."""
    try:
        settings = load_settings(**arguments)
    except ConfigurationError as exc:
        return [str(exc), *sorted(symptoms)]
    problems: list[str] = []
    for name in ("connection", "app_url"):
        try:
            getattr(settings, name)
        except ConfigurationError as exc:
            problems.append(str(exc))
    if not problems:
        problems += _app_url_problems(settings.app_url, settings.connection.base_url)
    return [*problems, *sorted(symptoms)]


def timeout_problem(worker: Worker, time_left: float) -> str:
    """Describe a platform that ends the request in `time_left` s, before the worker's timeout."""
    return (
        f"{worker} has a timeout of {worker.options['timeout'] / 1000:g} s, and the function is ended after "
        f"{time_left:.0f} s: give the function more time than the worker, or the worker less"
    )


def platform_end(exc: SystemExit) -> tuple[str, str] | None:
    """Return a name and a description of an exit that gunicorn raised in a processor; None for any other."""
    trace = exc.__traceback__
    if trace is None:
        return None
    while trace.tb_next is not None:
        trace = trace.tb_next
    code, module = trace.tb_frame.f_code.co_name, str(trace.tb_frame.f_globals.get("__name__"))
    return _GUNICORN.get(code) if module.startswith("gunicorn.workers.") else None


_GUNICORN = {
    "handle_abort": (
        "WorkerTimeout",
        "gunicorn ended this process while the processor ran: set gunicorn's --timeout above the longest timeout "
        "of your workers, in s",
    ),
    "handle_quit": (
        "WorkerStopped",
        "gunicorn was told to stop at once while the processor ran: stop it with SIGTERM, which lets jobs finish",
    ),
}


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
