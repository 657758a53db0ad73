"""The names of the server's own Redis keys. BullMQ's keys have the project's prefix instead."""

from __future__ import annotations


class ProjectKeys:
    """Name the keys that belong to one project: `nextmq:{project}:…`.

    The braces are part of the name: in a Redis Cluster they keep all keys of a project on one node, so a
    script can use several.
    """

    def __init__(self, project: str) -> None:
        self._prefix = f"nextmq:{{{project}}}"

    def __call__(self, *names: str) -> str:
        """Return the key for these names."""
        return ":".join((self._prefix, *names))
