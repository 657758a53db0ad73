"""What fires, what is told again, and what is over: the rules of judging, without I/O."""

from __future__ import annotations

import typing as t

import pytest

from nextmq_server.alerts.facts import QueueFacts
from nextmq_server.alerts.judge import Counted, Firing, Verdicts, judge, readings
from nextmq_server.alerts.rules import AlertRule

CALM = QueueFacts("emails", 0, 0, None, False, None, 0, 0)
MINUTE = 60_000


def rule(when: t.Any, **options: t.Any) -> AlertRule:
    return AlertRule(when=when, **options)


class Rounds:
    """Looks at one queue, one after the other, `every` ms."""

    def __init__(self, rule: AlertRule, *, every: int = 10_000) -> None:
        self.states: dict[str, Firing] = {}
        self._rule = rule
        self._every = every
        self._now = 0

    def look(self, *facts: QueueFacts, counted: Counted | None = None, memory: int = 0) -> Verdicts:
        self._now += self._every
        counts = {} if counted is None else {"emails": counted}
        found = readings(self._rule, facts, counts, memory)
        verdicts = judge(self._rule, found, self.states, now=self._now)
        self.states = verdicts.states
        return verdicts


BAD: dict[str, tuple[AlertRule, QueueFacts, Counted | None]] = {
    "oldest waiting": (rule("oldest_waiting", over=MINUTE), CALM._replace(oldest_waiting=MINUTE + 1), None),
    "held": (rule("held", over=MINUTE), CALM._replace(hold="held", held_for=MINUTE + 1), None),
    "disabled": (rule("disabled", over=5), CALM._replace(hold="disabled"), None),
    "dead letters": (rule("dead_letters", over=3), CALM._replace(waiting=4, is_of_dead_letters=True), None),
    "schedule overdue": (rule("schedule_overdue", over=MINUTE), CALM._replace(overdue=MINUTE + 1), None),
    "failed": (rule("failed", over=3), CALM, Counted(0, 4)),
    "failed share": (rule("failed_percent", over=50, at_least=10), CALM, Counted(4, 6)),
}

GOOD: dict[str, tuple[AlertRule, QueueFacts, Counted | None]] = {
    "oldest waiting": (rule("oldest_waiting", over=MINUTE), CALM._replace(oldest_waiting=MINUTE), None),
    "nothing waits": (rule("oldest_waiting"), CALM, None),
    "held for less": (rule("held", over=MINUTE), CALM._replace(hold="held", held_for=MINUTE), None),
    "another hold": (rule("disabled"), CALM._replace(hold="held", held_for=MINUTE), None),
    "as many letters": (rule("dead_letters", over=3), CALM._replace(waiting=3, is_of_dead_letters=True), None),
    "jobs that are no letters": (rule("dead_letters"), CALM._replace(waiting=9), None),
    "as many failed": (rule("failed", over=3), CALM, Counted(0, 3)),
    "too few ended": (rule("failed_percent", over=50, at_least=10), CALM, Counted(0, 9)),
    "a worker": (rule("no_worker"), CALM._replace(waiting=9), None),
    "no jobs": (rule("no_worker"), CALM._replace(has_worker=False), None),
    "dead letters wait for people": (
        rule("no_worker"),
        CALM._replace(waiting=9, has_worker=False, is_of_dead_letters=True),
        None,
    ),
    "another queue": (rule("oldest_waiting", queues="report*"), CALM._replace(oldest_waiting=MINUTE), None),
}


@pytest.mark.parametrize(("alert", "facts", "counted"), BAD.values(), ids=BAD)
def test_it_fires_once_above_the_bound(alert: AlertRule, facts: QueueFacts, counted: Counted | None) -> None:
    rounds = Rounds(alert)
    assert [rounds.look(facts, counted=counted).firing for _ in range(3)] == [["emails"], [], []]


@pytest.mark.parametrize(("alert", "facts", "counted"), GOOD.values(), ids=GOOD)
def test_it_does_not_fire_otherwise(alert: AlertRule, facts: QueueFacts, counted: Counted | None) -> None:
    rounds = Rounds(alert, every=24 * 60 * MINUTE)
    assert [rounds.look(facts, counted=counted).firing for _ in range(3)] == [[], [], []]


@pytest.mark.parametrize(
    ("when", "facts"),
    [("no_worker", CALM._replace(waiting=1, has_worker=False)), ("paused", CALM._replace(is_paused=True))],
)
def test_what_has_no_time_of_its_own_counts_from_when_it_was_first_seen(when: str, facts: QueueFacts) -> None:
    rounds = Rounds(rule(when, over=15_000))
    assert [rounds.look(facts).firing for _ in range(4)] == [[], [], ["emails"], []]


def test_what_ends_before_it_fires_is_forgotten() -> None:
    paused, rounds = CALM._replace(is_paused=True), Rounds(rule("paused", over=15_000))
    looks = [rounds.look(facts) for facts in (paused, paused, CALM, paused, paused)]
    assert [look.firing + look.over for look in looks] == [[], [], [], [], []]


def test_it_is_over_after_two_good_looks() -> None:
    bad, rounds = CALM._replace(oldest_waiting=MINUTE), Rounds(rule("oldest_waiting"))
    looks = [rounds.look(facts) for facts in (bad, CALM, bad, CALM, CALM, CALM)]
    assert [look.over for look in looks] == [[], [], [], [], ["emails"], []]
    assert [look.firing for look in looks] == [["emails"], [], [], [], [], []]


def test_what_lasts_is_told_again_after_the_repeat() -> None:
    bad, rounds = CALM._replace(oldest_waiting=MINUTE), Rounds(rule("oldest_waiting", repeat=MINUTE), every=30_000)
    assert [bool(rounds.look(bad).firing) for _ in range(6)] == [True, False, True, False, True, False]


def test_the_memory_of_redis_has_no_queue() -> None:
    rounds = Rounds(rule("redis_memory", over=90))
    assert [rounds.look(memory=memory).firing for memory in (90, 91)] == [[], [""]]


def test_one_look_judges_each_queue_on_its_own() -> None:
    facts = [CALM._replace(queue=name, oldest_waiting=age) for name, age in (("a", 1), ("b", 0), ("c", 1))]
    assert Rounds(rule("oldest_waiting")).look(*facts).firing == ["a", "c"]
