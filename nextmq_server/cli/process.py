"""A server command as a process: serve the API until a signal, then shut down gracefully."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import typing as t

from starlette.types import ASGIApp

from ..front.addresses import Network
from ..front.descriptors import max_connections, raise_limit
from ..front.front import Front
from ..redis.address import Address
from ..redis.checks import check_redis
from ..service import Service
from ..serving import HTTPServer, collect_less_garbage
from ..tasks import end_tasks
from . import console

logger = logging.getLogger("nextmq_server")

_SHUTDOWN_TIMEOUT = 5


class ServerProcess:
    """One run of a server command. SIGINT and SIGTERM stop it, with `grace` s for deliveries in flight.

    The callers' addresses are those that `trusted_proxies` forward.
    """

    def __init__(self, *, grace: float, trusted_proxies: t.Sequence[Network] = ()) -> None:
        self.stop_requested = asyncio.Event()
        self._grace = grace
        raise_limit()
        self._front = Front(trusted_proxies=trusted_proxies, max_connections=max_connections())
        on_signal(self.stop_requested.set, signal.SIGINT, signal.SIGTERM)

    async def serve(
        self,
        app: ASGIApp,
        listener: socket.socket,
        services: t.Collection[Service],
        *,
        helpers: t.Iterable[t.Coroutine[t.Any, t.Any, None]] = (),
        on_ready: t.Callable[[], None],
    ) -> None:
        """Serve `app` and run `helpers` until a signal; then stop `services`, including those added meanwhile."""
        api = HTTPServer(app, shutdown_timeout=_SHUTDOWN_TIMEOUT, front=self._front)
        collect_less_garbage()
        serving = asyncio.create_task(api.serve(sockets=[listener]))
        serving.add_done_callback(lambda _: self.stop_requested.set())  # in case it ends by itself
        running = [asyncio.create_task(helper) for helper in helpers]
        on_ready()
        await self.stop_requested.wait()
        console.say(f"Shutting down: deliveries in flight get up to {self._grace:g} s (Ctrl-C again: stop now)")
        await end_tasks(*running)
        await self._stop(tuple(services))
        api.should_exit = True  # last, because running processors call the API
        await serving

    async def _stop(self, services: t.Sequence[Service]) -> None:
        def hurry() -> None:
            for service in services:
                service.hurry()

        on_signal(hurry, signal.SIGINT, signal.SIGTERM)
        stops = [asyncio.create_task(service.stop(grace=self._grace)) for service in services]
        await asyncio.wait(stops)  # all of them, even if one fails
        for stop in stops:
            stop.result()


def on_signal(callback: t.Callable[[], object], *numbers: signal.Signals) -> None:
    """Have the running event loop call `callback`, and only it, on each of these signals."""
    loop = asyncio.get_running_loop()
    for number in numbers:
        loop.add_signal_handler(number, callback)


async def check_external(redis_url: str) -> None:
    """Check the Redis at `redis_url`, and log what is wrong with it. Raises ConfigurationError."""
    for warning in await check_redis(Address(redis_url)):
        logger.warning("the Redis of --redis-url %s", warning)
