"""Results of finished jobs, kept for a while even if the job itself is removed."""

from __future__ import annotations

import typing as t

from typing_extensions import TypedDict  # pydantic takes typing's from Python 3.12 on

RESULT_LIFE = 60_000
"""How long (ms) the result of a job that may be removed is kept."""


class JobResult(TypedDict):
    """What a job ended with. `finishedOn` is ms since the epoch. All but `state` are null before the job ends."""

    state: str
    returnValue: t.Any
    failedReason: str | None
    stacktrace: list[str] | None
    finishedOn: int | None


def unfinished(state: str) -> JobResult:
    """Return the result of a job in `state` that has not ended."""
    return {"state": state, "returnValue": None, "failedReason": None, "stacktrace": None, "finishedOn": None}


def may_vanish(keep: object) -> bool:
    """Return whether a job with this removeOnComplete or removeOnFail may be removed once it has finished."""
    return keep is not None and keep is not False  # 0 keeps no job
