"""FastAPI and Starlette: a router with the handler's routes. Its lifespan registers the workers."""

from __future__ import annotations

import typing as t

from fastapi import APIRouter
from starlette.types import Receive, Scope, Send

from nextmq_handler.asgi import MAX_THREADS, NextMQHandler
from nextmq_handler.receiver.handler import HandlerOptions
from nextmq_handler.workers.worker import Worker


class _BelowPrefix:
    """Pass a request to the handler with the path below the router's prefix."""

    def __init__(self, handler: NextMQHandler) -> None:
        self._handler = handler

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = "/" + scope["path_params"]["path"]
        if not scope["path"].endswith(path):
            path = scope["path"]  # the router's pattern drops a newline at the end
        await self._handler({**scope, "path": path, "root_path": ""}, receive, send)


def nextmq_router(
    workers: t.Iterable[Worker], *, max_threads: int = MAX_THREADS, **options: t.Unpack[HandlerOptions]
) -> APIRouter:
    """Return a router for `workers`: `app.include_router(…, prefix="/api/nextmq")`.

    The app runs the router's lifespan, which registers the workers. `HandlerOptions` has the options.
    Raises ConfigurationError.
    """
    handler = NextMQHandler(workers, max_threads=max_threads, **options)
    router = APIRouter(lifespan=handler.lifespan)
    # For Starlette an endpoint that is not a function is an ASGI app: it streams the body and takes any method.
    router.add_route("/{path:path}", t.cast("t.Any", _BelowPrefix(handler)), include_in_schema=False)
    return router
