"""The ASGI driver: an app that serves the handler alone, or mounted in Starlette, FastAPI or any ASGI app."""

from __future__ import annotations

import asyncio
import contextlib
import typing as t

import anyio
from starlette.routing import Router
from starlette.types import Receive, Scope, Send

from .async_execution import run_async
from .client._http import close_async_http_client
from .execution import Attempt
from .handler import BODY_TIMEOUT, Handler, ReadPlan
from .messages import Headers, Request, Response
from .registration import Registrar
from .signing import TOLERANCE
from .wire import MAX_BODY_SIZE
from .worker import Worker

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
        self._registrar = Registrar(handler.workers, lambda: handler.settings)
        self._lifespan_protocol = Router(lifespan=self.lifespan)

    @property
    def workers(self) -> tuple[Worker, ...]:
        """The workers that are mounted here."""
        return self._handler.workers

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
            await self._registrar.stop()
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
        attempt = self._handler.parse(plan, body)
        if isinstance(attempt, Response):
            return attempt
        self._register_if_changed(attempt)
        if self._limiter is None:
            self._limiter = anyio.CapacityLimiter(self._max_threads)
        outcome = await run_async(attempt, self._limiter)
        return self._handler.finish(attempt.delivery, outcome, secret)

    def _register_if_changed(self, attempt: Attempt) -> None:
        current = self._registrar.fingerprint(attempt.worker.name)
        if current is not None and current != attempt.delivery.fingerprint:
            self._registrar.reassert()

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
    workers: t.Iterable[Worker],
    *,
    url: str | None = None,
    app_url: str | None = None,
    webhook_secrets: str | t.Sequence[str] | None = None,
    tolerance: float = TOLERANCE,
    max_body_size: int = MAX_BODY_SIZE,
    body_timeout: float = BODY_TIMEOUT,
    expose_stack: bool = True,
    max_threads: int = MAX_THREADS,
) -> NextMQHandler:
    """An ASGI app that verifies deliveries, runs `workers` and answers with signed outcomes.

    `url`, `app_url` and `webhook_secrets` stand for NEXTMQ_URL, NEXTMQ_APP_URL and NEXTMQ_WEBHOOK_SECRETS.
    `tolerance` and `body_timeout` are s, `max_body_size` bytes; `expose_stack=False` keeps tracebacks out of
    outcomes; `max_threads` bounds the `def` processors that run at once. Raises ConfigurationError.
    """
    handler = Handler(
        workers,
        url=url,
        app_url=app_url,
        webhook_secrets=webhook_secrets,
        tolerance=tolerance,
        max_body_size=max_body_size,
        body_timeout=body_timeout,
        expose_stack=expose_stack,
    )
    return NextMQHandler(handler, max_threads=max_threads)


def _path(scope: Scope) -> str:
    """The path below the mount: servers and routers put the mount's own path into root_path."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "")
    return path[len(root) :] if root and path.startswith(root + "/") else path


async def _respond(send: Send, response: Response) -> None:
    headers = [*response.headers]
    if response.body:  # empty for HEAD alone, whose length would be that of the GET
        headers.append((b"content-length", b"%d" % len(response.body)))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body})
