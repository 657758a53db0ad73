"""What each server command does as a process: listens, serves the API until a signal, drains, ends."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import signal
import socket
import typing as t

import uvicorn
from fastapi import FastAPI

from nextmq_handler.errors import ConfigurationError

from ..service import Service
from . import console

_BACKLOG = 1024

_GC_THRESHOLDS = (20_000, 20, 50)  # a bulk of 1,000 jobs is one young generation, not fifty


class _APIServer(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> t.Generator[None]:
        yield  # signals are ours: running processors need the API until they have been drained


class ServerProcess:
    """One run of a server command: SIGINT and SIGTERM stop it, with `grace` s for deliveries in flight."""

    def __init__(self, *, grace: float) -> None:
        self.stop_requested = asyncio.Event()
        self._grace = grace
        on_signal(self.stop_requested.set, signal.SIGINT, signal.SIGTERM)

    async def serve(
        self,
        app: FastAPI,
        listener: socket.socket,
        services: t.Collection[Service],
        *,
        helpers: t.Iterable[t.Coroutine[t.Any, t.Any, None]] = (),
        on_ready: t.Callable[[], None],
    ) -> None:
        """Serve `app` until a signal, `helpers` beside it; then drain `services`, as many as there are by then."""
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            timeout_graceful_shutdown=5,
        )
        api = _APIServer(config)
        collect_less_garbage()
        serving = asyncio.create_task(api.serve(sockets=[listener]))
        serving.add_done_callback(lambda _: self.stop_requested.set())  # should it ever end by itself
        running = [asyncio.create_task(helper) for helper in helpers]
        on_ready()
        await self.stop_requested.wait()
        console.say(f"Draining: deliveries in flight get up to {self._grace:g} s (Ctrl-C again: stop now)")
        for helper in running:
            helper.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await self._drain(tuple(services))
        api.should_exit = True
        await serving

    async def _drain(self, services: t.Sequence[Service]) -> None:
        hurry = asyncio.Event()
        on_signal(hurry.set, signal.SIGINT, signal.SIGTERM)
        stops = [asyncio.create_task(service.stop(grace=self._grace)) for service in services]
        stopping = asyncio.create_task(asyncio.wait(stops))  # one that fails keeps no other from draining
        hurrying = asyncio.create_task(hurry.wait())
        await asyncio.wait({stopping, hurrying}, return_when=asyncio.FIRST_COMPLETED)
        hurrying.cancel()
        if not stopping.done():
            for service in services:
                service.hurry()
        await stopping
        for stop in stops:
            stop.result()


def collect_less_garbage() -> None:
    """Collect garbage less often from now on, and what the start has made, which stays, not at all."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)


def on_signal(callback: t.Callable[[], object], *numbers: signal.Signals) -> None:
    """Have the running loop call `callback` on each of these signals, in place of what it called before."""
    loop = asyncio.get_running_loop()
    for number in numbers:
        loop.add_signal_handler(number, callback)


def listen(host: str, port: int, *, command: str) -> socket.socket:
    """A socket that callers of `host` wait on from now on, instead of being refused. Raises ConfigurationError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as exc:
        listener.close()
        taken = exc.errno == errno.EADDRINUSE
        what = f"is taken: is another {command} running? Choose one with --port" if taken else exc.strerror
        raise ConfigurationError(f"port {port} of {host} {what}") from None
    listener.listen(_BACKLOG)
    return listener


def base_url(host: str, listener: socket.socket) -> str:
    """The URL of the API on `listener`, which was bound to `host`."""
    return f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}"
