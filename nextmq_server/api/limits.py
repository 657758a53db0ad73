"""/v1/queues/{queue}: how many jobs may run, or start, over all server processes."""

from __future__ import annotations

import typing as t

from fastapi import Query

from nextmq_handler.rules.bodies import ConcurrencyBody, RateLimitBody, RestBody
from nextmq_handler.rules.limits import MAX_STARTS
from nextmq_handler.rules.models import Closed

from .http.request import Authorized, Empty, QueueName, Removed, router
from .queues import RateLimitView

routes = router("/v1/queues/{queue}", "limits")


class GlobalConcurrency(Closed):
    """How many jobs may run at once; null if only the worker's own concurrency limits them."""

    concurrency: int | None


class GlobalRateLimit(Closed):
    """The global rate limit, null if none is set."""

    rateLimit: RateLimitView | None


class RestLeft(Closed):
    """For how many ms no job starts; 0 if jobs may start now."""

    ttl: int


@routes.get("/concurrency")
async def get_global_concurrency(queue: QueueName, service: Authorized) -> GlobalConcurrency:
    """Get the global concurrency."""
    return GlobalConcurrency(concurrency=await service.limits.global_concurrency(queue))


@routes.put("/concurrency")
async def set_global_concurrency(queue: QueueName, body: ConcurrencyBody, service: Authorized) -> Empty:
    """Limit how many jobs run at once. The worker's own concurrency applies if it is lower."""
    await service.limit_changes.set_global_concurrency(queue, body.concurrency)


@routes.delete("/concurrency")
async def remove_global_concurrency(queue: QueueName, service: Authorized) -> Empty:
    """Remove the global concurrency. The worker's own still applies."""
    await service.limit_changes.set_global_concurrency(queue, None)


@routes.get("/rate-limit")
async def get_global_rate_limit(queue: QueueName, service: Authorized) -> GlobalRateLimit:
    """Get the global rate limit."""
    limit = await service.limits.rate_limit(queue)
    return GlobalRateLimit(rateLimit=RateLimitView(**limit) if limit else None)


@routes.put("/rate-limit")
async def set_global_rate_limit(queue: QueueName, body: RateLimitBody, service: Authorized) -> Empty:
    """Limit how many jobs start in a period. This replaces the worker's own limiter."""
    await service.limit_changes.set_rate_limit(queue, body.max, body.duration)


@routes.delete("/rate-limit")
async def remove_global_rate_limit(queue: QueueName, service: Authorized) -> Empty:
    """Remove the global rate limit."""
    await service.limit_changes.remove_rate_limit(queue)


@routes.get("/rate-limited")
async def get_rate_limit_ttl(
    queue: QueueName,
    service: Authorized,
    maxJobs: t.Annotated[
        int, Query(ge=0, le=MAX_STARTS, description="the number of starts that counts as limited")
    ] = 0,
) -> RestLeft:
    """Get how long the queue is still rate-limited."""
    return RestLeft(ttl=await service.limits.rest_left(queue, maxJobs))


@routes.put("/rate-limited")
async def rate_limit(queue: QueueName, body: RestBody, service: Authorized) -> Empty:
    """Rate-limit the queue for a while: no job starts."""
    await service.limits.rest(queue, body.duration)


@routes.delete("/rate-limited")
async def remove_rate_limit_key(queue: QueueName, service: Authorized) -> Removed:
    """Stop rate-limiting the queue: jobs start again."""
    return Removed(removed=await service.limit_changes.end_rest(queue))
