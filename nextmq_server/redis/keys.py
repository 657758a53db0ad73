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


class FirstProjectKeys(ProjectKeys):
    """Name the keys as version 0.1 did, for a project whose data that version wrote.

    Some of its names have the project's BullMQ prefix instead of its name, some have neither.
    """

    OF_QUEUES = ("hold", "failing", "result")
    OF_SERVERS = ("instance", "wake")

    def __init__(self, project: str, prefix: str) -> None:
        super().__init__(project)
        self._project = project
        self._bullmq_prefix = prefix

    def __call__(self, *names: str) -> str:
        """Return the key for these names."""
        first, rest = names[0], names[1:]
        if first in self.OF_SERVERS:
            return ":".join(("nextmq", first, *rest))
        if first in self.OF_QUEUES:
            return ":".join(("nextmq", first, self._bullmq_prefix, *rest))
        return ":".join(("nextmq", self._project, first, *rest))
