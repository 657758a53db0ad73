"""The scenario's chapters on job schedulers."""

from __future__ import annotations

import typing as t

from .steps import Chapter, Step, step

START = 1_900_000_000_000  # 2030-03-17T17:46:40Z
DST = 1_900_972_800_000  # 2030-03-29, two days before clocks go forward in Berlin


OFFSET = "BullMQ keeps the offset of the former `every`"


def _scheduler(
    id: str, template: Step | None = None, *, differs: str | None = None, **repeat: t.Any
) -> list[Step]:
    upsert = step("upsertJobScheduler", id=id, repeat=repeat)
    return [
        upsert | ({"template": template} if template else {}),
        step("getJobScheduler", id=id, differs=differs),
    ]


SCHEDULERS = Chapter(
    "schedulers",
    [
        *_scheduler("every", every=60_000, startDate=START),
        *_scheduler("offset", every=3_600_000, offset=1_000, startDate=START),
        *_scheduler(
            "template",
            {"name": "named", "data": {"a": 1}, "opts": {"attempts": 3, "priority": 2}},
            every=1000,
            startDate=START,
            limit=5,
            endDate=START + 10_000_000,
        ),
        *_scheduler("cron", pattern="0 30 9 * * *", tz="Europe/Warsaw", startDate=START),
        *_scheduler("five-fields", pattern="*/15 3-5 * * 1-5", startDate=START),
        *_scheduler("utc", pattern="0 0 0 29 2 *", tz="UTC", startDate=START),
        *_scheduler("gap", pattern="0 30 2 31 3 *", tz="Europe/Berlin", startDate=DST),
        *_scheduler("overlap", pattern="0 30 2 27 10 *", tz="Europe/Berlin", startDate=DST),
        *_scheduler("weekday-or-day", pattern="0 0 12 13 * 5", tz="America/New_York", startDate=START),
        *_scheduler("names", pattern="0 0 8 * JAN,JUL MON", tz="Asia/Kolkata", startDate=START),
        *_scheduler("sunday", pattern="0 0 0 * * 7", tz="UTC", startDate=START),
        *_scheduler("ended", every=1000, endDate=1),
        *_scheduler("never", pattern="0 0 0 30 2 *", tz="UTC", startDate=START),
        *_scheduler("bad", pattern="every day"),
        *_scheduler("bad-zone", pattern="0 0 0 * * *", tz="Mars/Olympus"),
        *_scheduler("nothing"),
        *_scheduler("two", pattern="* * * * *", every=5),
        *_scheduler("every", {"data": "changed"}, differs=OFFSET, every=30_000, startDate=START),
        *_scheduler("cron", {"opts": {"attempts": 2}}, pattern="0 0 7 * * *", tz="Europe/Warsaw", startDate=START),
        step("getJobSchedulersCount"),
        step("getJobSchedulers", start=1, end=3, asc=True),
        step("getJobSchedulers", start=0, end=2, asc=False),
        step("removeById", job=f"repeat:every:{START}"),
        step("removeJobScheduler", id="every"),
        step("removeJobScheduler", id="every"),
        step("getJobScheduler", id="every"),
        step("promote", job=f"repeat:offset:{START}"),
        step("getJobSchedulersCount"),
    ],
)

RECURRING = Chapter(
    "recurring",
    [
        step(
            "upsertJobScheduler",
            id="thrice",
            repeat={"every": 20, "limit": 3},
            template={"name": "tick", "data": {"attempts": [{"return": "tock"}]}},
        ),
        step("start"),
        step("until"),
        step("stop"),
        step(
            "getJobScheduler",
            id="thrice",
            differs="the offset depends on the clock; after the last run this SDK shows no next run",
        ),
        step("getJobSchedulersCount"),
    ],
)
