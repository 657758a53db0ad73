"""Which of BullMQ's methods, options and fields a chapter of the scenario proves."""

from __future__ import annotations

import typing as t

from .steps import Chapter

_FIELDS: t.Final = (
    "id name data opts progress attemptsMade attemptsStarted stalledCounter delay priority returnvalue "
    "failedReason stacktrace parent repeatJobKey deduplicationId timestamp processedOn finishedOn"
)
_SCHEDULER: t.Final = (
    "isJobScheduler getScheduler "
    "key name every pattern tz limit offset startDate endDate next iterationCount template"
)

_AFTER_EVERY_STEP: t.Final = f"{_FIELDS} getJobs getJobCounts isPaused"
_SHOWN: t.Final = {
    "add": "create",
    "addBulk": "createBulk",
    "getJob": "fromId",
    "removeById": "remove",
    "removeJobDeduplicationKey": "removeDeduplicationKey",
    "states": "getState getJobState isCompleted isFailed isDelayed isActive isWaiting isWaitingChildren",
    "counts": (
        "count getJobCountByTypes getWaitingCount getActiveCount getDelayedCount getPrioritizedCount "
        "getWaitingChildrenCount getCompletedCount getFailedCount"
    ),
    "getters": ("getWaiting getActive getDelayed getPrioritized getWaitingChildren getCompleted getFailed"),
    "getMetrics": "meta count",
    "getFlow": "job children depth maxChildren",
    "flow": "add",
    "flowBulk": "addBulk",
    "getJobScheduler": _SCHEDULER,
    "getJobSchedulersCount": "getSchedulersCount",
}
"""What a step shows beside the method that it is called by."""


def proven_by(chapter: Chapter) -> set[str]:
    """Collect the names of Node's that the chapter's steps use, pass or show."""
    names = set(_AFTER_EVERY_STEP.split())
    for step in chapter.steps:
        names |= {step["op"], *_SHOWN.get(step["op"], "").split(), *_keys(step)}
    return names


def _keys(value: t.Any) -> t.Iterator[str]:
    if isinstance(value, dict):
        for key, member in t.cast("dict[str, t.Any]", value).items():
            yield key
            yield from _keys(member)
    elif isinstance(value, (list, tuple)):
        for member in t.cast("t.Sequence[t.Any]", value):
            yield from _keys(member)
