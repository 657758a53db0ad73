"""The words of the scenario, which scenario.mjs and player.py both play. A job's alias is its name.

A job's data says, attempt by attempt, what its processor does: {"attempts": [{"throw": "no"}, {"return": 1}]}.
"""

from __future__ import annotations

import typing as t

Step = dict[str, t.Any]

SOON, LATER = 60_000, 120_000


class Chapter(t.NamedTuple):
    """Steps on queues of their own."""

    name: str
    steps: t.Sequence[Step]
    queues: t.Sequence[str] = ("main",)


def step(op: str, *, differs: str | None = None, **arguments: t.Any) -> Step:
    """Make a step; `differs` says why its results, and only these, are not the same."""
    return {"op": op, **arguments} | ({"differs": differs} if differs else {})


def add(name: str, *attempts: Step, queue: str = "main", **opts: t.Any) -> Step:
    """Add a job whose processor does `attempts`, one after the other, the last one again and again."""
    return step("add", name=name, data={"attempts": attempts or [{}]}, opts=opts, queue=queue)


def node(name: str, *children: Step, does: Step | None = None, queue: str = "main", **opts: t.Any) -> Step:
    """Make a job of a flow, whose processor does `does` in each attempt."""
    made = {"name": name, "queue": queue, "data": {"attempts": [does or {}]}, "opts": opts}
    return {**made, "children": children} if children else made


def work(*queues: str, **options: t.Any) -> list[Step]:
    """Run the waiting jobs until nothing is left to do."""
    names = queues or ("main",)
    return [step("start", queues=names, options=options), step("until", queues=names), step("stop")]


FAIL: Step = {"throw": "no luck"}
