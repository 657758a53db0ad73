# Generated from _async by scripts/generate_sync.py: change that, then run `make format`.
"""What the server has below one path, and the calls to it."""

from __future__ import annotations

import typing as t

from ...errors import NotFoundError
from .._http.answer import R, ignored
from .._http.call import Options
from ..remote import Remote
from .transport import request


class Resource:
    """A queue, the flows or the triggers of a server."""

    def __init__(self, remote: Remote, *path: str) -> None:
        self._remote = remote
        self._path = path

    def _ask(self, method: str, *path: str, reader: t.Callable[[t.Any], R], **options: t.Unpack[Options]) -> R:
        return request(self._remote.caller(), method, ("v1", *self._path, *path), reader, **options)

    def _do(self, method: str, *path: str, **options: t.Unpack[Options]) -> None:
        self._ask(method, *path, reader=ignored, **options)

    def _find(
        self, method: str, *path: str, reader: t.Callable[[t.Any], R], **options: t.Unpack[Options]
    ) -> R | None:
        """As `_ask`; return None if the server has no such thing."""
        try:
            return self._ask(method, *path, reader=reader, **options)
        except NotFoundError:
            return None
