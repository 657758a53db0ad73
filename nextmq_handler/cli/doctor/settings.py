"""The first rung: the variables, and the handler that an app mounts."""

from __future__ import annotations

import typing as t

from ...errors import ConfigurationError
from ...protocol.user_code import kind_of, text_of
from ...receiver.checks import LIFESPAN
from ...rules.log_text import one_line
from ...settings import Settings, load_settings
from ...workers.loading import load
from ...workers.worker import Worker
from ..calls import ENV_FILE, act_as_app_of_this_folder
from .findings import Findings, good, wrong


class Handler(t.Protocol):
    """The part of a handler that the doctor looks at."""

    @property
    def workers(self) -> tuple[Worker, ...]:
        """The workers that are mounted."""
        ...

    @property
    def settings(self) -> Settings:
        """The settings. Raises ConfigurationError."""
        ...

    def check(self) -> list[str]:
        """Return what is wrong."""
        ...


class Setup(t.NamedTuple):
    """What an app would run with."""

    settings: Settings
    handler: Handler | None


def look_at_settings(url: str | None, target: str | None) -> Findings[Setup | None]:
    """Read the variables as an app of this environment would; load `target`, module:handler."""
    source = _source(url)
    handler = None
    if target is not None:
        try:
            handler = _handler_of(target)
        except ConfigurationError as exc:
            yield wrong("handler", str(exc))
            return None
        except (Exception, SystemExit) as exc:  # noqa: BLE001 - the app's own code runs
            told = one_line(f"{kind_of(exc)}: {text_of(exc)}", 500)
            yield wrong(
                "handler", f"{target} cannot be loaded: {told}", "fix what the app raises when it is imported"
            )
            return None
    try:
        settings = handler.settings if handler is not None and url is None else load_settings(url=url)
        connection = settings.connection
    except ConfigurationError as exc:
        yield wrong("settings", str(exc))
        return None
    yield good("settings", f"{source}: project {connection.project} at {connection.base_url}")
    if handler is not None:
        # In this process nobody runs a lifespan; whether the app does is seen later.
        problems = [problem for problem in handler.check() if problem != LIFESPAN]
        for problem in problems:
            yield wrong("settings", problem)
        if not handler.workers:
            yield wrong(
                "handler", f"{target} has no worker", "pass your workers: create_nextmq_handler(workers=[…])"
            )
        elif not problems:
            yield good("handler", f"{target} has {', '.join(worker.name for worker in handler.workers)}")
        if problems:
            return None
    return Setup(settings, handler)


def _source(url: str | None) -> str:
    """Return where the connection string comes from; without any, take the variables of the file."""
    if url is not None:
        return "--url"
    return str(ENV_FILE) if act_as_app_of_this_folder() else "NEXTMQ_URL"


def _handler_of(target: str) -> Handler:
    found = load(target)
    if not (hasattr(found, "workers") and hasattr(found, "settings") and hasattr(found, "check")):
        raise ConfigurationError(f"{target} is of type {kind_of(found)}, not a NextMQ handler")
    return t.cast("Handler", found)
