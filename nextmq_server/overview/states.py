"""The state of a queue: the first thing that holds, from what needs a person to what runs by itself."""

from __future__ import annotations

import typing as t

from ..engine.queues.overview import QueueLook
from ..words import counted, span_text

QueueState = t.Literal[
    "disabled",
    "held",
    "paused",
    "dead_letters",
    "no_worker",
    "stuck",
    "rate_limited",
    "running",
    "idle",
    "unknown",
]

STUCK_AFTER = 60_000
"""How long (ms) a job waits in a queue with room before the queue counts as stuck."""


class Standing(t.NamedTuple):
    """The state of a queue, its cause in a short sentence, and since when it lasts, ms since the epoch."""

    state: QueueState
    cause: str | None = None
    since: int | None = None


class Surroundings(t.NamedTuple):
    """What is known of a queue beside its jobs.

    `node_workers` is how many workers of BullMQ's own serve it, `dead_letters_of` whose dead letters it gets,
    `nearest` the queue with a worker that was perhaps meant.
    """

    has_worker: bool
    node_workers: int
    dead_letters_of: t.Sequence[str]
    nearest: str | None


def standing_of(look: QueueLook | None, around: Surroundings) -> Standing:
    """Return the state of a queue."""
    if look is None:
        return Standing("unknown", "Redis could not read its keys: does another program use the same names?")
    if look.hold is not None:
        return _held(look)
    if look.is_paused:
        return Standing("paused", f"{counted(look.waiting, 'job')} until it is resumed" if look.waiting else None)
    if not around.has_worker and not around.node_workers and (unserved := _unserved(look, around)):
        return unserved
    if (stuck := _stuck(look)) is not None:
        return stuck
    if look.waiting and (left := look.rest_left):
        return Standing("rate_limited", f"the next job starts in {span_text(left)}")
    return Standing("running" if look.counts["active"] or look.waiting else "idle")


def _held(look: QueueLook) -> Standing:
    hold = look.hold
    assert hold is not None
    if hold.until is None:
        return Standing("disabled", hold.detail, hold.since)
    following = f"next try in {span_text(hold.left)}" if hold.left else "the next job tries again"
    return Standing("held", f"{hold.kind}: {hold.detail}, {following}", hold.since)


def _unserved(look: QueueLook, around: Surroundings) -> Standing | None:
    if around.dead_letters_of:
        letters = look.waiting + look.counts["delayed"]
        names = ", ".join(around.dead_letters_of)
        return Standing("dead_letters", f"{counted(letters, 'dead letter')} of {names}") if letters else None
    is_due = look.next_delayed is not None and look.next_delayed <= look.now
    if not look.waiting and not is_due:
        return None
    hint = f'; did you mean "{around.nearest}"?' if around.nearest else ""
    waiting = counted(look.waiting, "job waits", "jobs wait") if look.waiting else "a delayed job is due"
    return Standing("no_worker", f"{waiting} and no app has registered{hint}", look.oldest or look.next_delayed)


def _stuck(look: QueueLook) -> Standing | None:
    if look.oldest is None or look.rest_left or look.now - look.oldest <= STUCK_AFTER:
        return None
    if look.applied_concurrency is not None and look.counts["active"] >= look.applied_concurrency:
        return None
    waited = span_text(look.now - look.oldest)
    return Standing("stuck", f"the next job has waited for {waited} though there is room for it", look.oldest)
