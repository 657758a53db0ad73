"""Read a file with keys and secrets, and look at who else can read or write it."""

from __future__ import annotations

import logging
import os
import stat
from pathlib import Path

from nextmq_handler.errors import ConfigurationError

logger = logging.getLogger("nextmq_server")


def read_private(path: Path) -> bytes:
    """Return the content of `path`. Warn if every user can read it, or its group write it.

    Its group may read it: a Kubernetes secret has that mode.

    Raises OSError, and ConfigurationError if every user can write it.
    """
    with path.open("rb") as file:
        mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
        content = file.read()
    if os.name != "posix":  # the bits say nothing there
        return content
    if mode & stat.S_IWOTH:
        raise ConfigurationError(
            f"{path} has mode {mode:04o}: every user of this machine can add a key or a secret to it. Check its "
            f"content, then chmod 600 {path}"
        )
    if mode & (stat.S_IROTH | stat.S_IWGRP):
        logger.warning(
            "%s has mode %04o: other users can read its keys and secrets, or add some: chmod 600 %s",
            path,
            mode,
            path,
        )
    return content
