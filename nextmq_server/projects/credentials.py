"""A project's API keys and webhook secrets: the active ones, their last uses, which may go (section 6)."""

from __future__ import annotations

import logging
import typing as t
from datetime import UTC, datetime

from nextmq_handler.errors import ConfigurationError
from nextmq_handler.protocol.clocks import wall_clock

from ..redis.connection import ConnectionLost, RedisConnection, RedisError
from ..redis.keys import ProjectKeys
from ..workers.registry import Registry
from .last_uses import LastUses
from .projects import Project

logger = logging.getLogger("nextmq_server")

IN_USE = 86_400.0
"""For this long, in s, a webhook secret that signed an outcome is in use: many queues have jobs once a day."""


class LastUse(t.NamedTuple):
    """The id of a key or secret, and its last use: ms since the epoch, or None."""

    id: str
    at: int | None


class Credentials:
    """The credentials of `project`. `rotate` replaces them while it is served."""

    def __init__(
        self,
        project: Project,
        connection: RedisConnection,
        keys: ProjectKeys,
        registry: Registry,
        *,
        clock: t.Callable[[], float] = wall_clock,
    ) -> None:
        self.project = project
        self.secrets = project.secrets
        self._registry = registry
        self._clock = clock
        self._key_uses = LastUses(connection, keys("api-key-uses"), clock=clock)
        self._secret_uses = LastUses(connection, keys("webhook-secret-uses"), clock=clock)

    def admit(self, api_key: str) -> bool:
        """Return whether `api_key` is one of the project's, in constant time; if so, record the use."""
        id = self.project.find_key(api_key)
        if id is None:
            return False
        self._key_uses.note(id)
        return True

    def note_signed(self, secret_id: str) -> None:
        """Record that the webhook secret of this id signed an outcome now."""
        self._secret_uses.note(secret_id)

    async def api_keys(self) -> list[LastUse]:
        """Return the API keys, in the project's order. Raises RedisError or ConnectionLost."""
        uses = await self._key_uses.read()
        return [LastUse(id, uses.get(id)) for id in self.project.key_ids]

    async def webhook_secrets(self) -> list[LastUse]:
        """Return the webhook secrets and when each last signed an outcome. Raises as `api_keys`."""
        uses = await self._secret_uses.read()
        return [LastUse(secret.id, uses.get(secret.id)) for secret in self.secrets]

    async def check(self, project: Project) -> None:
        """Check that `project`, the new version of this one, keeps all webhook secrets that are in use.

        A secret is in use if it signed an outcome within 24 hours, or if an app registered with it and with none
        of those that stay. `project` may still drop a secret that it names as retired. Raises ConfigurationError.
        """
        staying = {secret.id for secret in project.secrets}
        leaving = {secret.id for secret in self.secrets} - staying - {*project.retired_secrets}
        if not leaving:
            return
        try:
            signed = await self._signed_lately()
        except (RedisError, ConnectionLost) as exc:
            raise ConfigurationError(
                f"project {project.name}: cannot check whether webhook secret {_listed(leaving)} is in use "
                f"(Redis answered {exc}): send SIGHUP again"
            ) from None
        for id in sorted(leaving):
            uses = [f"it signed an outcome at {moment(signed[id])}"] if id in signed else []
            if queues := self._queues_without(staying, having=id):
                uses.append(f"the app of queue {_listed(queues)} registered with none of those that stay")
            if uses:
                raise ConfigurationError(
                    f"project {project.name} still uses webhook secret {id}: {'; '.join(uses)}. Deploy its apps "
                    f"with {_listed(staying)}, or name {id} in retiredSecrets to drop it anyway"
                )

    def rotate(self, project: Project) -> None:
        """Take over the API keys and webhook secrets of `project`, the new version of this one."""
        self.project, self.secrets = project, project.secrets
        for queue in self._queues_without({secret.id for secret in self.secrets}):
            logger.warning(
                "queue %s: its app registered with none of the webhook secrets that project %s has now: deploy it "
                "with a new one, or add the old one again",
                queue,
                project.name,
            )

    async def warn_of_missing(self) -> None:
        """Warn of webhook secrets that are in use and were removed while no server ran."""
        missing = (await self._signed_lately()).keys() - {secret.id for secret in self.secrets}
        for id in sorted(missing - {*self.project.retired_secrets}):
            logger.warning(
                "project %s: webhook secret %s signed outcomes within a day and was removed: add it again until "
                "all apps are deployed with another",
                self.project.name,
                id,
            )

    async def _signed_lately(self) -> dict[str, int]:
        since = (self._clock() - IN_USE) * 1000
        return {id: at for id, at in (await self._secret_uses.read()).items() if at > since}

    def _queues_without(self, ids: set[str], *, having: str | None = None) -> list[str]:
        """Return the queues whose app registered with none of the secrets `ids` but, if given, with `having`."""
        return [
            queue
            for queue, registration in self._registry.all().items()
            if not ids & {*registration.secret_ids} and having in (None, *registration.secret_ids)
        ]


def moment(at: int) -> str:
    """Format `at`, ms since the epoch, for people."""
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _listed(names: t.Iterable[str]) -> str:
    return ", ".join(sorted(names))
