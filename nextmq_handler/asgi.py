"""The ASGI driver: an app that serves the handler alone, or mounted in Starlette, FastAPI or any ASGI app."""

from __future__ import annotations

import asyncio
import contextlib
import typing as t

import anyio
import anyio.to_thread
from starlette.routing import Router
from starlette.types import Receive, Scope, Send

from .client._http.pools import close_async_http_client
from .protocol.messages import Headers, Request, Response
from .receiver.receiver import Handler, HandlerOptions, ReadPlan
from .receiver.run_async import run_async
from .registration.registrar import Registrar
from .settings import Settings
from .workers.worker import Worker

MAX_THREADS = 40
"""How many `def` processors run at once by default; more wait for a thread, inside their deadline."""


class NextMQHandler:
    """An ASGI app that receives the deliveries for its workers.

    Serve it alone, or mount it and hand `lifespan` to the parent, which does not run a mount's own.
    """

    def __init__(self, handler: Handler, *, max_threads: int = MAX_THREADS) -> None:
        self._handler = handler
        self._max_threads = max_threads
        self._limiter: anyio.CapacityLimiter | None = None
        self._registrar = Registrar(handler.workers, lambda: handler.settings, check=handler.check)
        self._lifespan_protocol = Router(lifespan=self.lifespan)

    @property
    def workers(self) -> tuple[Worker, ...]:
        """The workers that are mounted here."""
        return self._handler.workers

    @property
    def settings(self) -> Settings:
        """What this handler was told, or reads in the environment. Raises ConfigurationError."""
        return self._handler.settings

    def check(self) -> list[str]:
        """What is wrong with this set-up, in words; empty where nothing is."""
        return self._handler.check()

    @contextlib.asynccontextmanager
    async def lifespan(self, app: object = None) -> t.AsyncGenerator[None]:
        """Registers the workers once the server serves: `FastAPI(lifespan=handler.lifespan)`.

        Raises ConfigurationError where NEXTMQ_URL or NEXTMQ_APP_URL is missing, so the server does not start.
        """
        settings = self._handler.settings
        _ = settings.connection, settings.app_url  # said at start, not at the first job
        self._registrar.start()
        try:
            yield
        finally:
            self._registrar.stop()
            await close_async_http_client()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan_protocol.lifespan(scope, receive, send)
        elif scope["type"] == "http":
            await self._serve(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1000})

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope["method"], _path(scope), Headers(scope["headers"]))
        step = self._handler.begin(request)
        if isinstance(step, Response):
            if step.status == 200:
                self._registrar.reassert()  # it was /health
            await _respond(send, step)
            return
        body = await self._read(step, receive)
        if body is None:
            return  # the caller has gone
        await _respond(send, body if isinstance(body, Response) else await self._deliver(step, body))

    async def _deliver(self, plan: ReadPlan, body: bytes) -> Response:
        secret = self._handler.verify(plan, body)
        if isinstance(secret, Response):
            return secret
        if self._handler.has_replay_guard:
            refusal = await anyio.to_thread.run_sync(self._handler.claim, plan)
            if refusal is not None:
                return refusal
        attempt = self._handler.parse(plan, body)
        if isinstance(attempt, Response):
            return attempt
        if self._handler.is_outdated(attempt):
            self._registrar.reassert()
        if self._limiter is None:
            self._limiter = anyio.CapacityLimiter(self._max_threads)
        with attempt.trace:
            outcome = await run_async(attempt, self._limiter)
            attempt.trace.ended(outcome)
        return self._handler.finish(attempt.delivery, outcome, secret)

    async def _read(self, plan: ReadPlan, receive: Receive) -> bytes | Response | None:
        chunks: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(plan.timeout):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        return None
                    chunk: bytes = message.get("body", b"")
                    size += len(chunk)
                    if size > plan.max_size:
                        return self._handler.too_large(plan.queue)
                    chunks.append(chunk)
                    if not message.get("more_body", False):
                        return b"".join(chunks)
        except TimeoutError:
            return self._handler.too_slow(plan.queue)


def create_nextmq_handler(
    workers: t.Iterable[Worker], *, max_threads: int = MAX_THREADS, **options: t.Unpack[HandlerOptions]
) -> NextMQHandler:
    """An ASGI app that verifies deliveries, runs `workers` and answers with signed outcomes.

    `max_threads` bounds the `def` processors that run at once; `HandlerOptions` says what the other options mean.
    Raises ConfigurationError.
    """
    return NextMQHandler(Handler(workers, **options), max_threads=max_threads)


def _path(scope: Scope) -> str:
    """The path below the mount: servers and routers put the mount's own path into root_path."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "")
    if root and path.startswith(root + "/"):
        path = path[len(root) :]
    sent: bytes = scope.get("raw_path") or b"/"
    # Litestar ends the path of every mounted app with a slash, whatever was sent.
    return path if sent.upper().endswith((b"/", b"%2F")) else path.removesuffix("/")


async def _respond(send: Send, response: Response) -> None:
    headers = [*response.headers]
    if response.body:  # empty for HEAD alone, whose length would be that of the GET
        headers.append((b"content-length", b"%d" % len(response.body)))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body})
