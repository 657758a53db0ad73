"""GET /healthz and /readyz: for supervisors and load balancers, without a key."""

from __future__ import annotations

import typing as t

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from ..service import Service

routes = APIRouter(tags=["server"])


class Ready(BaseModel):
    """The server takes work."""

    status: t.Literal["ok"] = "ok"


class NotReady(BaseModel):
    """Why the server takes no work."""

    status: t.Literal["unavailable"] = "unavailable"
    reason: str


@routes.get("/healthz")
async def healthz() -> dict[str, str]:
    """Tell that the process is alive."""
    return {"status": "ok"}


@routes.get("/readyz", response_model=Ready, responses={503: {"model": NotReady}})
async def readyz(request: Request) -> Ready | JSONResponse:
    """Tell whether the process takes work: its projects run, Redis answers, and it is not shutting down."""
    services: t.Sequence[Service] = request.app.state.services
    for service in services:
        reason = await service.readiness()
        if reason is not None:
            return JSONResponse(NotReady(reason=reason).model_dump(), 503)
    return Ready()
