"""A project's API keys and webhook secrets: as they are now, when each was last used, which may go (section 6)."""

from __future__ import annotations

import logging
import time
import typing as t
from datetime import UTC, datetime

from nextmq_handler.errors import ConfigurationError

from ..redis.connection import ConnectionLost, RedisConnection, RedisError
from ..workers.registry import Registry
from .last_uses import LastUses
from .projects import Project

logger = logging.getLogger("nextmq_server")

IN_USE = 86_400.0
"""For so long, in s, a webhook secret that signed an outcome counts as used: many queues have jobs once a day."""


class LastUse(t.NamedTuple):
    """A key or a secret by its id, and its last use: ms since the epoch, None where there was none."""

    id: str
    at: int | None


class Credentials:
    """Those of `project`, which `rotate` replaces while it is served."""

    def __init__(
        self,
        project: Project,
        connection: RedisConnection,
        registry: Registry,
        *,
        clock: t.Callable[[], float] = time.time,
    ) -> None:
        self.project = project
        self.secrets = project.secrets
        self._registry = registry
        self._clock = clock
        self._key_uses = LastUses(connection, f"nextmq:{project.name}:api-key-uses", clock=clock)
        self._secret_uses = LastUses(connection, f"nextmq:{project.name}:webhook-secret-uses", clock=clock)

    def admit(self, api_key: str) -> bool:
        """Whether `api_key` is one of the project's, compared in constant time; if so it is used now."""
        id = self.project.find_key(api_key)
        if id is None:
            return False
        self._key_uses.note(id)
        return True

    def note_signed(self, secret_id: str) -> None:
        """The webhook secret of this id signed an outcome now."""
        self._secret_uses.note(secret_id)

    async def api_keys(self) -> list[LastUse]:
        """The API keys, in the order of the project. Raises RedisError or ConnectionLost."""
        uses = await self._key_uses.read()
        return [LastUse(id, uses.get(id)) for id in self.project.key_ids]

    async def webhook_secrets(self) -> list[LastUse]:
        """The webhook secrets and when each last signed an outcome. Raises RedisError or ConnectionLost."""
        uses = await self._secret_uses.read()
        return [LastUse(secret.id, uses.get(secret.id)) for secret in self.secrets]

    async def check(self, project: Project) -> None:
        """Raises ConfigurationError where `project`, the same with others, lacks a webhook secret that is in use.

        That is one that signed an outcome within a day, or that an app has which has none of those that stay. What
        `project` names as retired may go all the same.
        """
        staying = {secret.id for secret in project.secrets}
        leaving = {secret.id for secret in self.secrets} - staying - {*project.retired_secrets}
        if not leaving:
            return
        try:
            signed = await self._signed_lately()
        except (RedisError, ConnectionLost) as exc:
            raise ConfigurationError(
                f"project {project.name}: whether webhook secret {_listed(leaving)} is in use cannot be told, "
                f"as Redis answered {exc}: send SIGHUP again"
            ) from None
        for id in sorted(leaving):
            uses = [f"it signed an outcome at {moment(signed[id])}"] if id in signed else []
            if queues := self._queues_without(staying, having=id):
                uses.append(f"the app of queue {_listed(queues)} registered with none that stays")
            if uses:
                raise ConfigurationError(
                    f"project {project.name} still uses webhook secret {id}: {'; '.join(uses)}. Deploy its apps "
                    f"with {_listed(staying)}, or name {id} in retiredSecrets to drop it all the same"
                )

    def rotate(self, project: Project) -> None:
        """Take over the API keys and webhook secrets of `project`, the same project with others."""
        self.project, self.secrets = project, project.secrets
        for queue in self._queues_without({secret.id for secret in self.secrets}):
            logger.warning(
                "queue %s: its app registered with none of the secrets that project %s has now: deploy it "
                "with a new one, or add the old one again",
                queue,
                project.name,
            )

    async def warn_of_missing(self) -> None:
        """Warn of webhook secrets in use that are not there at a start, which nothing was checked before."""
        missing = (await self._signed_lately()).keys() - {secret.id for secret in self.secrets}
        for id in sorted(missing - {*self.project.retired_secrets}):
            logger.warning(
                "project %s: webhook secret %s signed outcomes within a day and is not there any more: add it "
                "again until all apps are deployed with another",
                self.project.name,
                id,
            )

    async def _signed_lately(self) -> dict[str, int]:
        since = (self._clock() - IN_USE) * 1000
        return {id: at for id, at in (await self._secret_uses.read()).items() if at > since}

    def _queues_without(self, ids: set[str], *, having: str | None = None) -> list[str]:
        """The queues whose app registered with none of the secrets `ids`, and with `having`."""
        return [
            queue
            for queue, registration in self._registry.all().items()
            if not ids & {*registration.secret_ids} and having in (None, *registration.secret_ids)
        ]


def moment(at: int) -> str:
    """What people read of `at`, ms since the epoch."""
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _listed(names: t.Iterable[str]) -> str:
    return ", ".join(sorted(names))
