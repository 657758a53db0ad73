"""GET /healthz and /readyz: for supervisors and load balancers, without a key."""

from __future__ import annotations

import typing as t

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from ..service import Service

router = APIRouter(tags=["server"])


class Ready(BaseModel):
    """It takes work."""

    status: t.Literal["ok"] = "ok"


class NotReady(BaseModel):
    """Why no work is to be sent here."""

    status: t.Literal["unavailable"] = "unavailable"
    reason: str


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """The process lives."""
    return {"status": "ok"}


@router.get("/readyz", response_model=Ready, responses={503: {"model": NotReady}})
async def readyz(request: Request) -> Ready | JSONResponse:
    """The process takes work: its projects run, Redis answers, and it does not drain."""
    services: t.Sequence[Service] = request.app.state.services
    for service in services:
        reason = await service.readiness()
        if reason is not None:
            return JSONResponse(NotReady(reason=reason).model_dump(), 503)
    return Ready()
