"""The scenario's chapters on flows."""

from __future__ import annotations

import typing as t

from .steps import FAIL, LATER, SOON, Chapter, Step, add, node, step, work

SHOWS = "BullMQ returns the given job, this SDK the existing one"

BOTH: t.Final = ("children", "main")  # in the order in which they come to rest


def _look(job: str) -> list[Step]:
    looks = ("getChildrenValues", "getIgnoredChildrenFailures", "getDependencies", "getDependenciesCount")
    return [step(look, job=job) for look in looks]


def child(name: str, does: Step | None = None, **opts: t.Any) -> Step:
    """Make a leaf, in the other queue."""
    return node(name, does=does, queue="children", **opts)


TREES = Chapter(
    "trees",
    [
        step(
            "flow",
            flow=node(
                "root",
                child("a", {"return": {"a": 1}}),
                node("b", child("leaf", {"return": None}), does={"getChildrenValues": 1}, queue="children"),
                child("c", {"return": "c"}, priority=2),
                does={"getChildrenValues": 1},
            ),
        ),
        *_look("root"),
        step("states", job="root"),
        step("getFlow", job="root"),
        step("getFlow", job="root", depth=2, maxChildren=20),
        step("getFlow", job="nobody"),
        step("getters"),
        *work(*BOTH),
        *_look("root"),
        *_look("b"),
        *_look("leaf"),
        step("getFlow", job="root"),
        step(
            "flow",
            flow=node("custom", child("custom-child", jobId="child-1"), jobId="root-1"),
        ),
        step(
            "flow",
            flow=node("custom-again", child("other-child"), jobId="root-1"),
            differs=SHOWS,
        ),
        step(
            "flow",
            flow=node("defaults", child("default-child"), child("own", attempts=1)),
            queuesOptions={
                "children": {"defaultJobOptions": {"attempts": 3, "backoff": 5}},
                "main": {"defaultJobOptions": {"removeOnComplete": True}},
            },
        ),
        step("flowBulk", flows=[node("bulk-1", child("bulk-1-child")), node("bulk-2", child("bulk-2-child"))]),
        step("flow", flow=node("alone", does={"return": "alone"})),
        step("flow", flow=node("slow", child("slow-child"), delay=5)),
        step("flow", flow=node("urgent", child("urgent-child"), priority=3)),
        *work(*BOTH),
    ],
    BOTH,
)

FAILURES = Chapter(
    "failures",
    [
        step("flow", flow=node("plain", child("plain-bad", FAIL), child("plain-good"))),
        step("flow", flow=node("failed", child("fail-bad", FAIL, failParentOnFailure=True), child("fail-good"))),
        step(
            "flow",
            flow=node(
                "continued",
                child("continue-bad", FAIL, continueParentOnFailure=True),
                child("continue-slow", delay=LATER),
                does={"removeUnprocessedChildren": 1, "getIgnoredChildrenFailures": 1},
            ),
        ),
        step(
            "flow",
            flow=node(
                "hasty",
                child("hasty-bad", FAIL, continueParentOnFailure=True),
                child("hasty-slow", delay=LATER),
            ),
        ),
        step(
            "flow",
            flow=node(
                "ignored",
                child("ignore-bad", FAIL, ignoreDependencyOnFailure=True),
                child("ignore-good", {"return": "good"}),
                does={"getIgnoredChildrenFailures": 1},
            ),
        ),
        step(
            "flow",
            flow=node(
                "removed",
                child("remove-bad", FAIL, removeDependencyOnFailure=True),
                child("remove-good", {"return": "good"}),
                does={"getChildrenValues": 1},
            ),
        ),
        step(
            "flow",
            flow=node(
                "grandparent",
                node(
                    "parent",
                    child("deep-bad", FAIL, failParentOnFailure=True),
                    queue="children",
                    failParentOnFailure=True,
                ),
            ),
        ),
        step("start", queues=["children"]),
        step(
            "until",
            jobs={
                "plain-good": "completed",
                "fail-good": "completed",
                "continue-bad": "failed",
                "hasty-bad": "failed",
                "ignore-good": "completed",
                "remove-good": "completed",
                "deep-bad": "failed",
                "parent": "failed",
            },
        ),
        step("stop"),
        step("start", queues=["main"]),
        step(
            "until",
            jobs={
                "failed": "failed",
                "continued": "completed",
                "hasty": "failed",
                "ignored": "completed",
                "removed": "completed",
                "grandparent": "failed",
                "plain": "waiting-children",
            },
        ),
        step("stop"),
        *[look for job in ("plain", "failed", "continued", "hasty", "ignored", "removed") for look in _look(job)],
        *_look("grandparent"),
        *_look("parent"),
        step("retry", job="failed"),
    ],
    BOTH,
)

NO_PARENT = "for a job without a parent BullMQ reports a missing parent, this SDK returns that it removed nothing"

FAMILIES = Chapter(
    "families",
    [
        step("flow", flow=node("one", child("one-a"), child("one-b"))),
        step("removeChildDependency", job="one-a"),
        step("removeChildDependency", job="one-a", differs=NO_PARENT),
        step("removeChildDependency", job="one", differs=NO_PARENT),
        step("removeChildDependency", job="one-b"),
        step("getDependencies", job="one"),
        step("flow", flow=node("two", child("two-a"), child("two-b", delay=SOON))),
        step("removeUnprocessedChildren", job="two"),
        step("getDependencies", job="two"),
        step("flow", flow=node("three", child("three-a"), child("three-b", {"gate": "open"}, priority=1))),
        step("remove", job="three-a"),
        step("drain", queue="main"),
        step("drain", queue="children"),
        step("states", job="three"),
        step("flow", flow=node("four", child("four-a"), node("four-b", child("four-c"), queue="children"))),
        step("remove", job="four", removeChildren=False),
        step("getFlow", job="four-b"),
        step("remove", job="four-b"),
        step("states", job="four-c", queue="children"),
        step("flow", flow=node("five", child("five-a"))),
        step("add", name="five-b", queue="children", opts={"parent": {"job": "five"}}),
        step("add", name="five-c", opts={"parent": {"job": "five"}, "ignoreDependencyOnFailure": True}),
        step("getDependencies", job="five"),
        step("add", name="stray", opts={"parent": {"job": "four"}}),
        *work(*BOTH),
        *_look("five"),
        add(
            "grows",
            {
                "child": {"queue": "children", "name": "grown", "data": {"attempts": [{"return": "up"}]}},
                "moveToWaitingChildren": 1,
            },
            {"getChildrenValues": 1},
        ),
        step("start", queues=BOTH),
        step("until", jobs={"grows": "completed"}),
        step("stop"),
        *_look("grows"),
        step("flow", flow=node("six", child("six-a", {"gate": "six"}))),
        step("start", queues=["children"]),
        step("until", jobs={"six-a": "active"}),
        step("remove", job="six"),
        step("removeUnprocessedChildren", job="six"),
        step("getDependencies", job="six"),
        step("release", gate="six"),
        step("until", jobs={"six-a": "completed"}),
        step("stop"),
    ],
    BOTH,
)

SECOND_TRIES = Chapter(
    "second-tries",
    [
        step("flow", flow=node("plain", child("bad", FAIL), does={"getChildrenValues": 1})),
        step("flow", flow=node("failing", child("fatal", FAIL, failParentOnFailure=True))),
        step("flow", flow=node("mild", child("harmless", FAIL, ignoreDependencyOnFailure=True))),
        step("flow", flow=node("flaky", child("flaky-child", FAIL, attempts=2, backoff=1))),
        *work(*BOTH),
        step("updateData", job="bad", data={"attempts": [{"return": "good"}]}),
        step("updateData", job="fatal", data={"attempts": [{"return": "good"}]}),
        step("updateData", job="harmless", data={"attempts": [{"return": "good"}]}),
        step("retry", job="bad"),
        step("retry", job="fatal"),
        step("retry", job="harmless"),
        *work(*BOTH),
        *_look("plain"),
        *_look("failing"),
        *_look("mild"),
        step("retry", job="failing"),
        step("retry", job="plain", state="completed"),
        *work(*BOTH),
        step("remove", job="flaky"),
        step("removeById", job="plain"),
        step("clean", grace=0, limit=10, state="completed", queue="children"),
        step("clean", grace=0, limit=10, state="failed"),
        step("clean", grace=0, limit=10, state="completed"),
    ],
    BOTH,
)

KNOWN_CHILDREN = Chapter(
    "known-children",
    [
        add("done", {"return": "before"}, queue="children", jobId="done-1"),
        add("waiting", {"return": "later"}, queue="children", jobId="waiting-1", delay=1),
        step("start", queues=["children"]),
        step("until", jobs={"done": "completed", "waiting": "completed"}),
        step("stop"),
        add("open", {"return": "open"}, queue="children", jobId="open-1"),
        step(
            "flow",
            flow=node("one", child("done-again", jobId="done-1"), does={"getChildrenValues": 1}),
            differs=SHOWS,
        ),
        *_look("one"),
        step(
            "flow",
            flow=node("two", child("open-again", jobId="open-1"), does={"getChildrenValues": 1}),
            differs=SHOWS,
        ),
        step("flow", flow=node("single", deduplication={"id": "d"})),
        step("flow", flow=node("single-too", deduplication={"id": "d"}), differs=SHOWS),
        step("flow", flow=node("gone", child("gone-child", removeOnComplete=True), removeOnComplete=True)),
        *work(*BOTH),
        step("getFlow", job="one"),
        step("obliterate", queue="children", force=True),
        step("getFlow", job="one", differs="BullMQ fails if a child was removed, this SDK leaves the child out"),
    ],
    BOTH,
)
