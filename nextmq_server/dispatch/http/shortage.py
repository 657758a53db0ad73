"""Tell a failure of this server, which lacks sockets, from one of the app that it wanted to reach."""

from __future__ import annotations

import errno
import socket

_OWN = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


def is_own_shortage(exc: OSError, *, is_ipv4: bool) -> bool:
    """Return whether a connection failed because this process or machine has no socket, port or memory for it."""
    if exc.errno in _OWN or (exc.errno == errno.EADDRNOTAVAIL and is_ipv4):
        return True
    return not _has_socket()  # a lookup, or a failure at several addresses, does not tell its cause


def _has_socket() -> bool:
    try:
        socket.socket().close()
    except OSError as exc:
        return exc.errno not in _OWN
    return True
