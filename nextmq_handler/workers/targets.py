"""Workers that a command line or a setting names: `module:name`."""

from __future__ import annotations

import importlib
import sys
import typing as t
from pathlib import Path

from ..errors import ConfigurationError
from .worker import Worker


def workers_of(target: str) -> tuple[Worker, ...]:
    """The workers that `target`, module:name, names: those of a handler, a worker, or several in a list.

    The module may be in the working directory. Raises ConfigurationError.
    """
    module_name, _, name = target.partition(":")
    if not module_name or not name or module_name.startswith("."):
        raise ConfigurationError(f"{target!r} is not module:handler, such as app.main:nextmq")
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, here)
    try:
        found: t.Any = importlib.import_module(module_name)
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as exc:
        raise ConfigurationError(f"{target} cannot be loaded: {exc}") from exc
    if isinstance(found, Worker):
        return (found,)
    workers = getattr(found, "workers", found)
    if isinstance(workers, list | tuple) and all(isinstance(each, Worker) for each in t.cast("t.Any", workers)):
        return tuple(t.cast("t.Sequence[Worker]", workers))
    raise ConfigurationError(f"{target} is {type(found).__name__}, not a NextMQ handler: it has no workers")
