"""`nextmq dev`: embedded Valkey, API and dispatcher in one process, for one project on this machine."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
import typing as t
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from nextmq_handler.errors import ConfigurationError
from nextmq_handler.settings import is_loopback

from ..api.app import create_app
from ..dispatch.egress.rules import EgressRules, parse_network
from ..projects.projects import load_or_create_project
from ..redis.address import Address
from ..redis.checks import check_redis
from ..service import Service
from ..serving import base_url, listen
from . import console
from .process import ServerProcess

if t.TYPE_CHECKING:
    import socket

    from ..embedded import EmbeddedValkey, Fsync

logger = logging.getLogger("nextmq_server")

MAX_HOLD = 5.0
"""The longest pause, in s, between two tries of an endpoint: in development apps restart all the time."""

_POLL_UNTIL_UP, _POLL_WHEN_UP = 1.0, 30.0


@dataclass
class DevServer:
    """One run of `nextmq dev`. `grace` is s, `allow_egress` CIDRs, `max_free_starts` per job."""

    host: str
    port: int
    data_dir: Path
    fsync: Fsync
    redis_url: str | None
    app_url: str | None
    grace: float
    allow_egress: tuple[str, ...]
    max_free_starts: int
    _valkey: EmbeddedValkey | None = field(default=None, init=False)

    async def run(self) -> None:
        """Serve until a signal. Raises ConfigurationError if it cannot start."""
        console.configure_logging(time_format="%H:%M:%S")
        # The line of the delivery already shows that a job failed.
        logging.getLogger("nextmq_server.failures").setLevel(logging.CRITICAL)
        egress = EgressRules.for_development([parse_network(text) for text in self.allow_egress])
        process = ServerProcess(grace=self.grace)
        project = load_or_create_project(self.data_dir / "project.json", "dev")
        (self.data_dir / ".gitignore").write_text("*\n")
        with self._listen() as listener, self._redis() as redis_url:
            if self._valkey is None:
                for warning in await check_redis(Address(redis_url)):
                    logger.warning("the Redis of --redis-url %s", warning)
            service = Service(
                project,
                redis_url,
                alone=self._valkey is not None,
                replace_workers=True,
                max_hold=MAX_HOLD,
                max_free_starts=self.max_free_starts,
                egress=egress,
                report=console.print_delivery,
            )
            await service.start()
            url = base_url(self.host, listener)
            await process.serve(
                create_app(service),
                listener,
                [service],
                helpers=self._helpers(process.stop_requested),
                on_ready=lambda: console.print_banner(project, url, self._valkey),
            )
        console.say("Stopped.")

    def _listen(self) -> socket.socket:
        if not is_loopback(self.host):
            raise ConfigurationError(
                f"--host {self.host} is not a loopback address: nextmq dev speaks plain HTTP, for this machine "
                "only"
            )
        return listen(self.host, self.port, command="nextmq dev")

    @contextlib.contextmanager
    def _redis(self) -> t.Generator[str]:
        if self.redis_url is not None:
            yield self.redis_url
            return
        if sys.platform == "win32":
            raise ConfigurationError(
                "nextmq has no embedded Valkey for Windows: run Redis 6.2 or newer, or Valkey, and pass "
                "--redis-url redis://HOST:6379"
            )
        from ..embedded import EmbeddedValkey

        self._valkey = EmbeddedValkey(self.data_dir / "valkey", fsync=self.fsync)
        self._valkey.start()
        try:
            yield self._valkey.url
        finally:
            self._valkey.stop()

    def _helpers(self, stop_requested: asyncio.Event) -> t.Iterator[t.Coroutine[t.Any, t.Any, None]]:
        if self.app_url is not None:
            yield self._poll_health(self.app_url.rstrip("/") + "/health")
        if self._valkey is not None:
            yield self._stop_with(self._valkey, stop_requested)

    async def _poll_health(self, url: str) -> None:
        async with httpx.AsyncClient(timeout=5) as client:
            while True:
                try:
                    up = (await client.get(url)).is_success
                except (httpx.HTTPError, httpx.InvalidURL):
                    up = False
                await asyncio.sleep(_POLL_WHEN_UP if up else _POLL_UNTIL_UP)

    async def _stop_with(self, valkey: EmbeddedValkey, stop_requested: asyncio.Event) -> None:
        await valkey.ended()
        logger.critical("the embedded Valkey ended unexpectedly: see valkey.log in %s", valkey.folder)
        stop_requested.set()
