"""Judge the rules: what fires, what is told again, what is over. No I/O."""

from __future__ import annotations

import typing as t

from pydantic import BaseModel

from ..words import counted, span_text
from .facts import QueueFacts
from .rules import TIMED, AlertRule

GOOD_LOOKS = 2
"""An alert is over after so many looks in a row that find nothing."""

MAX_FIRINGS = 2000
"""How many alerts a project may have at once; the others are judged when these are over."""


class Reading(t.NamedTuple):
    """What a rule finds of a queue. `value` is None if it counts from when it was first seen."""

    queue: str
    value: int | None
    text: str


class Firing(BaseModel, extra="ignore", frozen=True):
    """What a rule has found of a queue. Times are ms since the epoch; `fired_at` is None before it fires."""

    since: int
    text: str
    fired_at: int | None = None
    told_at: int | None = None
    good_looks: int = 0


class Counted(t.NamedTuple):
    """How many jobs ended lately."""

    completed: int
    failed: int


class Verdicts(t.NamedTuple):
    """The states of a rule after a look, by queue, and of which queues to tell: it fires (still), or is over."""

    states: dict[str, Firing]
    firing: list[str]
    over: list[str]


def readings(
    rule: AlertRule, facts: t.Iterable[QueueFacts], ended: t.Mapping[str, Counted], memory: int
) -> list[Reading]:
    """Return what the rule finds. `memory` is how full Redis is, in percent."""
    if rule.when == "redis_memory":
        return [Reading("", memory, f"Redis uses {memory} % of its memory")]
    found = [_reading(rule, one, ended.get(one.queue)) for one in facts if rule.covers(one.queue)]
    return [reading for reading in found if reading is not None]


def judge(rule: AlertRule, found: t.Iterable[Reading], before: t.Mapping[str, Firing], *, now: int) -> Verdicts:
    """Return the verdicts on what a look has found; `before` are the states after the look before it."""
    verdicts = Verdicts({}, [], [])
    for reading in found:
        state = before.get(reading.queue) or Firing(since=now, text=reading.text)
        lasting = now - state.since if reading.value is None else reading.value
        is_timed_start = reading.value is None
        if lasting <= rule.over and not (is_timed_start and state.fired_at is None):
            continue
        state = state.model_copy(update={"text": reading.text, "good_looks": 0})
        if lasting > rule.over and _is_told(rule, state, now):
            state = state.model_copy(update={"fired_at": state.fired_at or now, "told_at": now})
            verdicts.firing.append(reading.queue)
        verdicts.states[reading.queue] = state
    for queue, state in before.items():
        if queue in verdicts.states or state.fired_at is None:
            continue
        if state.good_looks + 1 < GOOD_LOOKS:
            verdicts.states[queue] = state.model_copy(update={"good_looks": state.good_looks + 1})
        else:
            verdicts.over.append(queue)
    return verdicts


def _is_told(rule: AlertRule, state: Firing, now: int) -> bool:
    if state.told_at is None:
        return True
    return rule.repeat is not None and now - state.told_at >= rule.repeat


def _reading(rule: AlertRule, facts: QueueFacts, ended: Counted | None) -> Reading | None:
    name, value, text = f'queue "{facts.queue}"', t.cast("int | None", None), ""
    match rule.when:
        case "oldest_waiting" if facts.oldest_waiting is not None:
            value, text = facts.oldest_waiting, f"{name}: a job has waited for {span_text(facts.oldest_waiting)}"
        case "held" if facts.hold is not None:
            value, text = facts.held_for, f"{name} has been held for {span_text(facts.held_for)}"
        case "disabled" if facts.hold == "disabled":
            value, text = rule.over + 1, f"{name} is disabled: its app must register again"
        case "no_worker" if (
            facts.waiting + facts.delayed and not facts.has_worker and not facts.is_of_dead_letters
        ):
            text = f"{name} has {counted(facts.waiting + facts.delayed, 'job')} and no worker"
        case "paused" if facts.is_paused:
            text = f"{name} is paused, with {counted(facts.waiting, 'job')} waiting"
        case "dead_letters" if facts.is_of_dead_letters:
            value, text = facts.waiting, f"{name} has {counted(facts.waiting, 'dead letter')}"
        case "schedule_overdue" if facts.overdue > 0:
            value, text = facts.overdue, f"{name}: a schedule is overdue by {span_text(facts.overdue)}"
        case "failed" if ended is not None:
            value, text = ended.failed, f"{name}: {counted(ended.failed, 'job')} failed in {rule.minutes} min"
        case "failed_percent" if ended is not None and sum(ended) >= rule.at_least:
            value = ended.failed * 100 // max(1, sum(ended))
            text = f"{name}: {value} % of {counted(sum(ended), 'job')} failed in {rule.minutes} min"
        case _:
            return None
    assert (value is None) == (rule.when in TIMED)
    return Reading(facts.queue, value, text)
