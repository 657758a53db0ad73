"""The file with which `nextmq dev` tells other `nextmq` commands of this folder how to reach it."""

from __future__ import annotations

import contextlib
import os
import typing as t
from pathlib import Path

from nextmq_handler.errors import ConfigurationError

NAME = "env"
"""The file's name, in the data folder: commands read `.nextmq/env`."""


@contextlib.contextmanager
def env_file(folder: Path, variables: t.Mapping[str, str]) -> t.Generator[None]:
    """Write `variables` to the file in `folder`, for its owner only; remove it at the end, unless it is another's.

    Raises ConfigurationError if it cannot be written.
    """
    path = folder / NAME
    content = "".join(f"{name}={value}\n" for name, value in variables.items())
    draft = folder / f"{NAME}.{os.getpid()}"
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(content)
        draft.replace(path)
    except OSError as exc:
        raise ConfigurationError(f"{path} cannot be written: {exc.strerror}; is --data-dir right?") from None
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            if path.read_text() == content:
                path.unlink()
