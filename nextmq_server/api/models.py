"""A job as answers show it."""

from __future__ import annotations

import typing as t

from nextmq_handler.rules.models import Closed, ParentModel


class DeliveryView(Closed):
    """A delivery that ended: sent `at`, ms since the epoch; `detail` says why it failed or is retried later."""

    deliveryId: str
    at: int
    status: int | None
    ms: int
    outcome: str
    detail: str | None


class JobView(Closed):
    """A job as it is now. Times are ms since the epoch, null until they happened."""

    id: str
    name: str
    state: str
    data: t.Any
    opts: dict[str, t.Any]
    progress: t.Any
    attemptsMade: int
    attemptsStarted: int
    stalledCounter: int
    delay: int
    priority: int
    returnValue: t.Any
    failedReason: str | None
    stacktrace: list[str]
    deliveries: list[DeliveryView]
    parent: ParentModel | None
    repeatJobKey: str | None
    deduplicationId: str | None
    timestamp: int
    processedOn: int | None
    finishedOn: int | None


class AddedJob(JobView):
    """A job that was added. If `deduplicated`, this is the existing job and no new one was made."""

    deduplicated: bool
