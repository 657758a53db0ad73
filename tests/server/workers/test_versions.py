"""Which version of an app holds a queue: any history of registrations and answers, against the rule."""

from __future__ import annotations

import json
import typing as t

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nextmq_server.embedded import EmbeddedValkey
from nextmq_server.projects.projects import Project
from nextmq_server.redis.address import Address
from nextmq_server.redis.connection import RedisConnection
from nextmq_server.redis.keys import ProjectKeys
from nextmq_server.workers.registration import Registration
from nextmq_server.workers.registry import OlderVersion, Registry
from nextmq_server.workers.versions import MAX_SEEN, Versions
from tests.support.api import one_service, registration

pytestmark = pytest.mark.anyio

START = 1_790_000_000.0
SERVERS = 2


class Clock:
    """A clock in Unix s that the test sets."""

    now = START

    def __call__(self) -> float:
        return self.now


class Step(t.NamedTuple):
    """What happens: a version does something through a server, or time passes (`seconds`)."""

    kind: t.Literal["register", "deploy", "answer", "wait", "unregister"]
    version: int = 0
    server: int = 0
    seconds: int = 0


class Rule:
    """The rule, from the whole history: who was heard when, and who is current."""

    def __init__(self) -> None:
        self.current: int | None = None
        self.heard: list[tuple[float, int]] = []

    def take(self, step: Step, now: float) -> bool:
        """Return whether the version of a registration is current after this step."""
        if step.kind == "unregister":
            self.current, self.heard = None, []
        if step.kind == "answer" and self._is_known(step.version):
            self.heard.append((now, step.version))
        if step.kind in ("register", "deploy"):
            is_known = self._is_known(step.version)
            self.heard.append((now, step.version))
            if not is_known or step.kind == "deploy" or self._is_rolled_back(step.version, now):
                self.current = step.version
        return step.version == self.current

    def _is_known(self, version: int) -> bool:
        return any(each == version for _, each in self.heard)

    def _is_rolled_back(self, version: int, now: float) -> bool:
        silent_since = max(at for at, each in self.heard if each == self.current)
        counted: list[float] = []
        for at, each in self.heard:
            if each == version and at > silent_since and (not counted or at - counted[-1] >= 50):
                counted.append(at)
        return now - silent_since >= 300 and len(counted) >= 5


def body_of(project: Project, version: int, *, deploy: bool = False) -> Registration:
    """Return the registration of a version: it differs from the others in all that may differ."""
    body = registration(
        project,
        fingerprint=f"f{version}",
        release=f"r{version}",
        options={"concurrency": version + 1},
        schedules=[{"id": f"s{version}", "every": 3_600_000}],
        schemas={f"j{version}": {}},
        age=version,
        deploy=deploy,
    )
    return Registration.model_validate(body)


def version_of(held: Registration | None) -> int | None:
    """Return the version that is held, of whom all parts must be."""
    if held is None:
        return None
    parts = {
        held.fingerprint[1:],
        held.release[1:],
        str(held.options.concurrency - 1),
        *(schedule.id[1:] for schedule in held.schedules),
        *(name[1:] for name in json.loads(held.schemas or "{}")),
    }
    assert len(parts) == 1, f"parts of several versions: {held}"
    return int(parts.pop())


async def play(registries: t.Sequence[Registry], project: Project, clock: Clock, steps: t.Sequence[Step]) -> None:
    rule = Rule()
    for step in steps:
        clock.now += step.seconds
        is_current = rule.take(step, clock.now)
        registry = registries[step.server]
        if step.kind == "answer":
            await registry.hear("emails", f"f{step.version}", project.secrets[0].id)
        if step.kind == "unregister":
            await registry.delete("emails")
        if step.kind in ("register", "deploy"):
            try:
                await registry.put(
                    "emails", body_of(project, step.version, deploy=step.kind == "deploy"), replace=False
                )
            except OlderVersion:
                assert not is_current, step
            else:
                assert is_current, step
        for each in registries:
            assert version_of((await each.load()).get("emails")) == rule.current, step


versions = st.integers(0, 3)
servers = st.integers(0, SERVERS - 1)
steps = st.one_of(
    st.builds(Step, st.sampled_from(["register", "register", "answer"]), versions, servers),
    st.builds(Step, st.sampled_from(["register", "answer", "deploy", "unregister"]), versions, servers),
    st.builds(
        Step,
        st.just("wait"),
        st.just(0),
        st.just(0),
        st.sampled_from([1, 30, 60, 120, 239, 240, 299, 300, 301, 3600]),
    ),
)


@pytest.fixture
async def registries(valkey: EmbeddedValkey, clock: Clock, project: Project) -> t.AsyncIterator[list[Registry]]:
    """Return the registries of two servers."""
    connections = [RedisConnection(Address(valkey.url), name="test") for _ in range(SERVERS)]
    for connection in connections:
        await connection.connect()
    yield [Registry(connection, ProjectKeys(project.name), clock=clock) for connection in connections]
    for connection in connections:
        await connection.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


ROLLED_BACK = [
    Step("register", 0),
    Step("register", 1),
    *(step for _ in range(6) for step in (Step("wait", seconds=60), Step("register", 0, 1))),
]
SCALED_OUT = [
    Step("register", 0),
    Step("register", 1),
    Step("wait", seconds=3600),
    Step("register", 0),
    Step("answer"),
]


@settings(one_service, max_examples=60)
@given(st.lists(steps, max_size=25))
@example(ROLLED_BACK)
@example(SCALED_OUT * 2)
@example([*ROLLED_BACK, *SCALED_OUT])
async def test_after_any_history_the_rule_says_which_version_is_held_whole(
    registries: list[Registry], project: Project, clock: Clock, history: list[Step]
) -> None:
    await registries[0].delete("emails")
    await play(registries, project, clock, history)


@pytest.mark.parametrize("back", range(1, MAX_SEEN))
async def test_each_version_that_is_remembered_is_an_older_one(
    registries: list[Registry], project: Project, clock: Clock, back: int
) -> None:
    for version in range(MAX_SEEN + 5):
        clock.now += 1
        await registries[version % SERVERS].put("emails", body_of(project, version), replace=False)
    with pytest.raises(OlderVersion):
        await registries[0].put("emails", body_of(project, MAX_SEEN + 4 - back), replace=False)


def test_no_more_versions_are_remembered_than_the_bound() -> None:
    versions = Versions()
    for number in range(3 * MAX_SEEN):
        versions.hear(f"f{number}", "f0", number)
    assert len(versions.heard) == MAX_SEEN
    assert {"f0", f"f{3 * MAX_SEEN - 1}"} <= versions.heard.keys()
