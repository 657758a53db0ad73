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
from .roles import ApiKey

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
        self._signer_uses = LastUses(connection, keys("webhook-secret-signers"), clock=clock)
        self._signers: dict[str, str] = {}

    def admit(self, api_key: str) -> ApiKey | None:
        """Return the key if `api_key` is one of the project's, in constant time; if so, record the use."""
        key = self.project.find_key(api_key)
        if key is not None:
            self._key_uses.note(key.id)
        return key

    def note_signed(self, secret_id: str) -> None:
        """Record that the webhook secret of this id signed an outcome now."""
        self._secret_uses.note(secret_id)

    def note_signer(self, queue: str, secret_id: str) -> None:
        """Record that the webhook secret of this id signed the last outcome of `queue`."""
        changed = self._signers.get(queue) != secret_id
        self._signers[queue] = secret_id
        self._signer_uses.note(f"{queue}:{secret_id}", at_once=changed)

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

        A secret is in use if it signed the last outcome of a queue, within 24 hours, or if an app registered with
        it and with none of those that stay. `project` may still drop a secret that it names as retired. Raises
        ConfigurationError.
        """
        staying = {secret.id for secret in project.secrets}
        leaving = {secret.id for secret in self.secrets} - staying - {*project.retired_secrets}
        if not leaving:
            return
        try:
            signed = await self._needed()
        except (RedisError, ConnectionLost) as exc:
            raise ConfigurationError(
                f"project {project.name}: cannot check whether webhook secret {_listed(leaving)} is in use "
                f"(Redis answered {exc}): try again"
            ) from None
        for id in sorted(leaving):
            uses = [f"it signed an outcome at {moment(signed[id])}"] if id in signed else []
            if queues := self._queues_without(staying, having=id):
                uses.append(f"the app of queue {_listed(queues)} registered with none of those that stay")
            if uses:
                raise ConfigurationError(
                    f"project {project.name} still uses webhook secret {id}: {'; '.join(uses)}. Deploy its apps "
                    f"with {_listed(staying)}, and run a job of each queue; or name {id} in retiredSecrets "
                    "(nextmq projects retire --force) to drop it anyway"
                )

    async def check_keys(self, project: Project) -> None:
        """Check that `project`, the new version of this one, keeps all API keys that were used within 24 hours.

        Raises ConfigurationError, RedisError or ConnectionLost.
        """
        for id, at in await self.api_keys():
            if id not in project.key_ids and at is not None and at > (self._clock() - IN_USE) * 1000:
                raise ConfigurationError(
                    f"project {project.name} still uses API key {id}: it was last used at {moment(at)}. Deploy "
                    "its apps with the new one and wait a day, or remove it anyway: nextmq projects retire --force"
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
        missing = (await self._needed()).keys() - {secret.id for secret in self.secrets}
        for id in sorted(missing - {*self.project.retired_secrets}):
            logger.warning(
                "project %s: webhook secret %s signed outcomes within a day and was removed: add it again until "
                "all apps are deployed with another",
                self.project.name,
                id,
            )

    async def _needed(self) -> dict[str, int]:
        """Return the secrets that signed within IN_USE, unless another one followed in all their queues."""
        lately, signers = await self._signed_lately(), await self._signer_uses.read()
        last: dict[str, tuple[int, str]] = {}  # of each queue
        for use, at in signers.items():
            queue, _, id = use.rpartition(":")
            last[queue] = max((at, id), last.get(queue, (0, "")))
        followed = {use.rpartition(":")[2] for use in signers} - {id for _, id in last.values()}
        return {id: at for id, at in lately.items() if id not in followed}

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
