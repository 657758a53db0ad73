"""/v1/queues/{queue}: how many jobs may run, or start, over all server processes."""

from __future__ import annotations

import typing as t

from fastapi import APIRouter, Query
from pydantic import Field

from nextmq_handler.rules.limits import MAX_DELAY_MS

from .errors import DOCUMENTED
from .queues import RateLimit
from .request import Authorized, Closed, Done, QueueName, Removed, StrictRoute

MAX_COUNT = 10**9

router = APIRouter(prefix="/v1/queues/{queue}", tags=["limits"], route_class=StrictRoute, responses=DOCUMENTED)


class GlobalConcurrency(Closed):
    """How many jobs may run at once."""

    concurrency: int = Field(ge=1, le=MAX_COUNT)


class GlobalConcurrencyView(Closed):
    """How many jobs may run at once; null: as many as the worker registered for."""

    concurrency: int | None


class NewRateLimit(Closed):
    """At most `max` starts in each `duration` ms."""

    max: int = Field(ge=1, le=MAX_COUNT)
    duration: int = Field(ge=1, le=MAX_DELAY_MS)


class RateLimitView(Closed):
    """The global rate limit, where there is one."""

    rateLimit: RateLimit | None


class Rest(Closed):
    """For how many ms no job starts."""

    duration: int = Field(ge=1, le=MAX_DELAY_MS)


class RestLeft(Closed):
    """For how many ms no job starts yet; 0: none is kept from it."""

    ttl: int


@router.get("/concurrency")
async def get_global_concurrency(queue: QueueName, service: Authorized) -> GlobalConcurrencyView:
    """The global concurrency that was set."""
    return GlobalConcurrencyView(concurrency=await service.limits.global_concurrency(queue))


@router.put("/concurrency")
async def set_global_concurrency(queue: QueueName, body: GlobalConcurrency, service: Authorized) -> Done:
    """Bound the jobs that run at once; the worker's own concurrency holds where it is lower."""
    await service.set_global_concurrency(queue, body.concurrency)
    return Done()


@router.delete("/concurrency")
async def remove_global_concurrency(queue: QueueName, service: Authorized) -> Done:
    """Leave the worker's own concurrency as the only bound."""
    await service.set_global_concurrency(queue, None)
    return Done()


@router.get("/rate-limit")
async def get_global_rate_limit(queue: QueueName, service: Authorized) -> RateLimitView:
    """The global rate limit."""
    limit = await service.limits.rate_limit(queue)
    return RateLimitView(rateLimit=RateLimit(**limit) if limit else None)


@router.put("/rate-limit")
async def set_global_rate_limit(queue: QueueName, body: NewRateLimit, service: Authorized) -> Done:
    """Limit the starts of jobs; it takes the place of the worker's own limiter."""
    await service.set_rate_limit(queue, body.max, body.duration)
    return Done()


@router.delete("/rate-limit")
async def remove_global_rate_limit(queue: QueueName, service: Authorized) -> Done:
    """Lift the global rate limit."""
    await service.remove_rate_limit(queue)
    return Done()


@router.get("/rate-limited")
async def get_rate_limit_ttl(
    queue: QueueName,
    service: Authorized,
    maxJobs: t.Annotated[int, Query(ge=0, le=MAX_COUNT, description="as of which count of starts")] = 0,
) -> RestLeft:
    """For how long a rate limit keeps jobs from starting."""
    return RestLeft(ttl=await service.limits.rest_left(queue, maxJobs))


@router.put("/rate-limited")
async def rate_limit(queue: QueueName, body: Rest, service: Authorized) -> Done:
    """Start no job for a time."""
    await service.limits.rest(queue, body.duration)
    return Done()


@router.delete("/rate-limited")
async def remove_rate_limit_key(queue: QueueName, service: Authorized) -> Removed:
    """Let jobs start again."""
    return Removed(removed=await service.end_rest(queue))
