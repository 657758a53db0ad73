"""`nextmq dev`: embedded Valkey, API and dispatcher in one process, for one project on this machine."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import signal
import socket
import sys
import typing as t
from dataclasses import dataclass
from pathlib import Path

import httpx
import uvicorn

from nextmq_handler.errors import ConfigurationError
from nextmq_handler.settings import is_loopback

from . import console
from .api.app import create_app
from .projects import load_or_create_project
from .service import Service

if t.TYPE_CHECKING:
    from .embedded import EmbeddedValkey, Fsync

logger = logging.getLogger("nextmq_server")

MAX_HOLD = 5.0
"""Apps restart all the time while they are written: an endpoint that is gone is tried this often, in s."""

_POLL_UNTIL_UP, _POLL_WHEN_UP = 1.0, 30.0


@dataclass(frozen=True)
class DevOptions:
    """The options of the command. `grace` is s."""

    host: str
    port: int
    data_dir: Path
    fsync: Fsync
    redis_url: str | None
    app_url: str | None
    grace: float


class _APIServer(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> t.Generator[None]:
        yield  # signals are ours: running processors need the API until they have been drained


class DevServer:
    """One run of the command."""

    def __init__(self, options: DevOptions) -> None:
        self._options = options
        self._stop_requested = asyncio.Event()
        self._valkey: EmbeddedValkey | None = None

    async def run(self) -> None:
        """Serve until a signal. Raises ConfigurationError where it cannot start."""
        console.configure_logging()
        self._on_signal(self._stop_requested.set)
        project = load_or_create_project(self._options.data_dir / "project.json", "dev")
        (self._options.data_dir / ".gitignore").write_text("*\n")
        with self._listen() as listener, self._redis() as redis_url:
            host = self._options.host
            base_url = f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}"
            service = Service(
                project,
                redis_url,
                alone=self._valkey is not None,
                replace_workers=True,
                max_hold=MAX_HOLD,
                report=console.print_delivery,
            )
            await service.start()
            config = uvicorn.Config(
                create_app(service),
                log_config=None,
                access_log=False,
                lifespan="off",
                ws="none",
                timeout_graceful_shutdown=5,
            )
            api = _APIServer(config)
            serving = asyncio.create_task(api.serve(sockets=[listener]))
            helpers = [asyncio.create_task(helper) for helper in self._helpers()]
            console.print_banner(project, base_url, self._valkey, self._options)
            await self._stop_requested.wait()
            console.say(
                f"Draining: deliveries in flight get up to {self._options.grace:g} s (Ctrl-C again: stop now)"
            )
            await self._drain(service)
            for helper in helpers:
                helper.cancel()
            await asyncio.gather(*helpers, return_exceptions=True)
            api.should_exit = True
            await serving
        console.say("Stopped.")

    def _listen(self) -> socket.socket:
        host, port = self._options.host, self._options.port
        if not is_loopback(host):
            raise ConfigurationError(
                f"--host {host} is not a loopback address: nextmq dev speaks plain HTTP, for this machine only"
            )
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError as exc:
            listener.close()
            taken = exc.errno == errno.EADDRINUSE
            what = "is taken: is another nextmq dev running? Choose one with --port" if taken else exc.strerror
            raise ConfigurationError(f"port {port} of {host} {what}") from None
        # From here on callers wait instead of being refused.
        listener.listen(128)
        return listener

    @contextlib.contextmanager
    def _redis(self) -> t.Generator[str]:
        if self._options.redis_url is not None:
            yield self._options.redis_url
            return
        if sys.platform == "win32":
            raise ConfigurationError(
                "there is no embedded Valkey for Windows: run a Redis 6.2 or newer, or a Valkey, and pass "
                "--redis-url redis://HOST:6379"
            )
        from .embedded import EmbeddedValkey

        self._valkey = EmbeddedValkey(self._options.data_dir / "valkey", fsync=self._options.fsync)
        self._valkey.start()
        try:
            yield self._valkey.url
        finally:
            self._valkey.stop()

    def _helpers(self) -> t.Iterator[t.Coroutine[t.Any, t.Any, None]]:
        if self._options.app_url is not None:
            yield self._poll_health(self._options.app_url.rstrip("/") + "/health")
        if self._valkey is not None:
            yield self._stop_with(self._valkey)

    async def _poll_health(self, url: str) -> None:
        async with httpx.AsyncClient(timeout=5) as client:
            while True:
                try:
                    up = (await client.get(url)).is_success
                except (httpx.HTTPError, httpx.InvalidURL):
                    up = False
                await asyncio.sleep(_POLL_WHEN_UP if up else _POLL_UNTIL_UP)

    async def _stop_with(self, valkey: EmbeddedValkey) -> None:
        await valkey.ended()
        logger.critical("the embedded Valkey ended by itself: see valkey.log in %s", valkey.folder)
        self._stop_requested.set()

    def _on_signal(self, callback: t.Callable[[], object]) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, callback)

    async def _drain(self, service: Service) -> None:
        hurry = asyncio.Event()
        self._on_signal(hurry.set)
        stopping = asyncio.create_task(service.stop(grace=self._options.grace))
        hurrying = asyncio.create_task(hurry.wait())
        await asyncio.wait({stopping, hurrying}, return_when=asyncio.FIRST_COMPLETED)
        hurrying.cancel()
        if not stopping.done():
            service.hurry()
        await stopping
