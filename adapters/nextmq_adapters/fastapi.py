"""FastAPI and Starlette: a router with the handler's routes, which registers the workers by itself."""

from __future__ import annotations

import typing as t

from fastapi import APIRouter
from starlette.types import Receive, Scope, Send

from nextmq_handler.asgi import MAX_THREADS, NextMQHandler
from nextmq_handler.receiver.receiver import Handler, HandlerOptions
from nextmq_handler.workers.worker import Worker


class _BelowPrefix:
    """Hands a request to the handler with the path that is below the router's prefix."""

    def __init__(self, handler: NextMQHandler) -> None:
        self._handler = handler

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = "/" + scope["path_params"]["path"]
        if not scope["path"].endswith(path):
            path = scope["path"]  # the router's pattern leaves a newline at the end out
        await self._handler({**scope, "path": path, "root_path": ""}, receive, send)


def nextmq_router(
    workers: t.Iterable[Worker], *, max_threads: int = MAX_THREADS, **options: t.Unpack[HandlerOptions]
) -> APIRouter:
    """A router that receives the deliveries for `workers`: `app.include_router(…, prefix="/api/nextmq")`.

    Its lifespan, which the app takes over, registers the workers. `HandlerOptions` says what the options mean.
    Raises ConfigurationError.
    """
    handler = NextMQHandler(Handler(workers, **options), max_threads=max_threads)
    router = APIRouter(lifespan=handler.lifespan)
    # An endpoint that is no function is an ASGI app to Starlette: the body stays a stream, any method passes.
    router.add_route("/{path:path}", t.cast("t.Any", _BelowPrefix(handler)), include_in_schema=False)
    return router
