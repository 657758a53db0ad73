"""`nextmq serve`: API and dispatcher for several projects on an external Redis, which processes may share."""

from __future__ import annotations

import asyncio
import logging
import signal
import typing as t
from dataclasses import dataclass, field
from pathlib import Path

from nextmq_handler.errors import ConfigurationError
from nextmq_handler.settings import is_loopback

from ..api.app import create_app
from ..dispatch.egress.rules import EgressRules, parse_network
from ..engine.worker.slots import Slots
from ..projects.projects_file import load_projects
from ..redis.address import Address
from ..redis.checks import check_redis
from ..redis.connection import ConnectionLost, RedisError
from ..service import Service
from ..serving import base_url, listen
from . import console
from .process import ServerProcess, on_signal

if t.TYPE_CHECKING:
    from ..projects.projects import Project

logger = logging.getLogger("nextmq_server")


@dataclass
class ServeServer:
    """One run of `nextmq serve`.

    `grace` is s, `allow_egress` CIDRs, `max_in_flight` and `max_per_origin` deliveries at once, `max_free_starts`
    per job.
    """

    host: str
    port: int
    redis_url: str = field(repr=False)
    projects: Path
    grace: float
    allow_egress: tuple[str, ...]
    max_in_flight: int
    max_per_origin: int | None
    max_free_starts: int

    def __post_init__(self) -> None:
        self._egress = EgressRules(allowed=[parse_network(text) for text in self.allow_egress])
        self._slots = Slots(self.max_in_flight, self.max_per_origin)
        self._services: list[Service] = []
        self._reload_requested = asyncio.Event()

    async def run(self) -> None:
        """Serve until a signal. Raises ConfigurationError if it cannot start."""
        console.configure_logging()
        on_signal(self._reload_requested.set, signal.SIGHUP)
        process = ServerProcess(grace=self.grace)
        projects = load_projects(self.projects)
        with listen(self.host, self.port, command="nextmq serve") as listener:
            for warning in await check_redis(Address(self.redis_url)):
                logger.warning("the Redis of --redis-url %s", warning)
            for project in projects:
                await self._start(project)
            if not is_loopback(self.host):
                logger.warning(
                    "plain HTTP on %s: only a TLS proxy or a private network should be able to reach it", self.host
                )
            app = create_app()
            app.state.services = self._services
            url = base_url(self.host, listener)
            await process.serve(
                app,
                listener,
                self._services,
                helpers=[self._reload_on_request()],
                on_ready=lambda: console.say(
                    f"NextMQ server on {url}. SIGTERM shuts down gracefully, SIGHUP reads the projects again."
                ),
            )
        console.say("Stopped.")

    async def _reload_on_request(self) -> None:
        while True:
            await self._reload_requested.wait()
            self._reload_requested.clear()
            try:
                await self._reload()
            except ConfigurationError as exc:
                logger.error("cannot take over the projects, keeping the old ones: %s", exc)

    async def _reload(self) -> None:
        wanted = {project.name: project for project in load_projects(self.projects)}
        for service in self._services:
            name = service.project.name
            if name not in wanted:
                raise ConfigurationError(
                    f"project {name} was removed from the file: restart the server to stop serving it"
                )
            if wanted[name].prefix != service.project.prefix:
                raise ConfigurationError(f"project {name} has another prefix: restart the server to use it")
            await service.credentials.check(wanted[name])
        for service in self._services:
            project = wanted.pop(service.project.name)
            service.credentials.rotate(project)
            _tell(project)
        for project in wanted.values():
            await self._start(project)

    async def _start(self, project: Project) -> None:
        service = Service(
            project,
            self.redis_url,
            max_free_starts=self.max_free_starts,
            egress=self._egress,
            slots=self._slots,
        )
        try:
            await service.start()
        except (RedisError, ConnectionLost) as exc:
            raise ConfigurationError(f"cannot start project {project.name}: Redis answered {exc}") from None
        self._services.append(service)
        _tell(project)


def _tell(project: Project) -> None:
    ids = ", ".join(secret.id for secret in project.secrets)
    logger.info("project %s: %d API keys, webhook secrets %s", project.name, len(project.api_keys), ids)
