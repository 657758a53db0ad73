"""Load the workers that a command line or a setting names: `module:name`."""

from __future__ import annotations

import os
import sys
import typing as t
from importlib import import_module

from ..errors import ConfigurationError
from .worker import Worker


def workers_of(target: str) -> tuple[Worker, ...]:
    """Load the workers that `target`, module:name, names: a handler, a worker, or a list of workers.

    The module may be in the working directory. Raises ConfigurationError.
    """
    found = load(target)
    workers = [found] if isinstance(found, Worker) else getattr(found, "workers", found)
    if isinstance(workers, list | tuple) and all(isinstance(each, Worker) for each in t.cast("t.Any", workers)):
        return tuple(t.cast("t.Sequence[Worker]", workers))
    kind = type(found).__name__
    raise ConfigurationError(f"{target} is of type {kind}, not a NextMQ handler: it has no workers")


def load(target: str) -> t.Any:
    """Load what `target`, module:name, names. The module may be in the working directory.

    Raises ConfigurationError, and what the module raises.
    """
    module_name, _, name = target.partition(":")
    if not module_name or not name or module_name.startswith("."):
        raise ConfigurationError(f"{target!r} is not module:handler, such as app.main:nextmq")
    if (here := os.getcwd()) not in sys.path:
        sys.path.insert(0, here)
    try:
        found: t.Any = import_module(module_name)
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as exc:
        raise ConfigurationError(f"{target} cannot be loaded: {exc}") from exc
    return found
