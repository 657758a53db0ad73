"""The ASGI driver: an app to serve alone, or to mount in Starlette, FastAPI or any ASGI app."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import typing as t

import anyio
import anyio.from_thread
import anyio.to_thread
from starlette.routing import Router
from starlette.types import Receive, Scope, Send

from . import _notices, _overrides
from .client._http.pools import close_async_http_client
from .protocol.messages import Headers, Request, Response
from .receiver.attempt import Attempt
from .receiver.checks import LIFESPAN
from .receiver.handler import BaseHandler, HandlerOptions
from .receiver.hooks import HookCall
from .receiver.receiver import Claim, ReadPlan
from .receiver.run_async import run_async
from .registration.registrar import Registrar
from .workers.worker import Worker

logger: logging.Logger = logging.getLogger("nextmq_handler")

MAX_THREADS = 40
"""How many `def` processors run at once by default. More wait for a thread, inside their deadline."""


class NextMQHandler(BaseHandler):
    """The endpoint that you serve or mount as an ASGI app: `NextMQHandler(workers=[…])`.

    It registers your workers, verifies each delivery, runs the processor and returns the signed outcome.
    `max_threads` limits how many `def` processors run at once; `HandlerOptions` has the other options. If you
    mount it, pass `lifespan` to the parent app, which does not run the lifespan of a mount. Raises
    ConfigurationError.
    """

    def __init__(
        self, workers: t.Iterable[Worker], *, max_threads: int = MAX_THREADS, **options: t.Unpack[HandlerOptions]
    ) -> None:
        super().__init__(workers, **options)
        receiver = self._receiver
        self._max_threads = max_threads
        self._limiter: anyio.CapacityLimiter | None = None
        self._registrar = Registrar(
            receiver.workers,
            lambda: receiver.settings,
            check=receiver.check,
            problems=receiver.registration_problems,
        )
        self._lifespan_protocol = Router(lifespan=self.lifespan)
        self._has_started = False
        self._is_missed = False
        _notices.listen(self)

    @contextlib.asynccontextmanager
    async def lifespan(self, app: object = None) -> t.AsyncGenerator[None]:  # noqa: ARG002 - Starlette passes it
        """Register the workers when the server starts: `FastAPI(lifespan=handler.lifespan)`.

        Raises ConfigurationError if NEXTMQ_URL or NEXTMQ_APP_URL is missing: the server does not start then.
        """
        self._has_started = True
        _notices.ignore(self)
        settings = self.settings
        _ = settings.connection, settings.app_url  # raise at start, not at the first job
        self._registrar.start()
        try:
            yield
        finally:
            self._registrar.stop()
            await close_async_http_client()

    def check(self) -> list[str]:
        """Return what is wrong with this set-up: one sentence for each problem, with its fix.

        In an app that serves, also that nobody has run the lifespan.
        """
        problems = super().check()
        if not self._has_started and (self._is_missed or _is_serving()):
            problems.append(LIFESPAN)
        return problems

    def job_added(self) -> None:
        """Say once that this app adds jobs, and nobody has run its lifespan."""
        if _is_serving():
            self._note_lifespan()

    def _note_lifespan(self) -> None:
        is_tested = _overrides.server is not None or _overrides.registration_paused.get()
        if not (self._has_started or self._is_missed or is_tested):
            self._is_missed = True
            _notices.ignore(self)
            logger.warning("%s", LIFESPAN)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan_protocol.lifespan(scope, receive, send)
        elif scope["type"] == "http":
            await self._serve(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1000})

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope["method"], _path(scope), Headers(scope["headers"]))
        plan = self._receiver.begin(request)
        if isinstance(plan, Response):
            if plan.status == 200:
                self._registrar.reassert()  # it was /health
            await _respond(send, plan)
            return
        body = await self._read(plan, receive)
        await _respond(send, body if isinstance(body, Response) else await self._deliver(plan, body))

    async def _deliver(self, plan: ReadPlan, body: bytes) -> Response:
        receiver = self._receiver
        for step in receiver.receive(plan, body):
            match step:
                case Attempt():
                    self._note_lifespan()
                    if receiver.is_outdated(step):
                        self._registrar.reassert()
                    step.outcome = await run_async(step, self._threads())
                case Claim():
                    step.refusal = await anyio.to_thread.run_sync(receiver.claim, plan)
                case HookCall():
                    await step.call_awaited(self._threads())
                case _:
                    t.assert_never(step)
        return plan.response

    def _threads(self) -> anyio.CapacityLimiter:
        if self._limiter is None:  # made on the loop that it belongs to
            self._limiter = anyio.CapacityLimiter(self._max_threads)
        return self._limiter

    async def _read(self, plan: ReadPlan, receive: Receive) -> bytes | Response:
        chunks: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(plan.timeout):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        # Also what middleware that has read a body leaves behind for the app: the caller is there.
                        return self._receiver.body_missing(plan, f"it ended with a disconnect after {size} bytes")
                    chunk: bytes = message.get("body", b"")
                    size += len(chunk)
                    if size > plan.max_size:
                        return self._receiver.too_large(plan.queue)
                    chunks.append(chunk)
                    if not message.get("more_body", False):
                        return b"".join(chunks)
        except TimeoutError:
            return self._receiver.too_slow(plan, size)


def create_nextmq_handler(
    workers: t.Iterable[Worker], *, max_threads: int = MAX_THREADS, **options: t.Unpack[HandlerOptions]
) -> NextMQHandler:
    """Return a `NextMQHandler` for `workers`, with the same options. Raises ConfigurationError."""
    return NextMQHandler(workers, max_threads=max_threads, **options)


def _is_serving() -> bool:
    """Tell whether this code runs for an app: on a loop, or in one of its threads. A script does neither."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        with contextlib.suppress(RuntimeError):
            anyio.from_thread.check_cancelled()
            return True
        return False
    return True


def _path(scope: Scope) -> str:
    """Return the path below the mount: servers and routers put the mount's own path into root_path."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "")
    if root and path.startswith(root + "/"):
        path = path[len(root) :]
    sent: bytes = scope.get("raw_path") or b"/"
    # Litestar ends the path of every mounted app with a slash, whatever was sent.
    return path if sent.upper().endswith((b"/", b"%2F")) else path.removesuffix("/")


async def _respond(send: Send, response: Response) -> None:
    headers = [*response.headers]
    if response.body:  # empty only for HEAD, whose length would be that of the GET
        headers.append((b"content-length", b"%d" % len(response.body)))
    with contextlib.suppress(OSError):  # the caller has gone
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        await send({"type": "http.response.body", "body": response.body})
