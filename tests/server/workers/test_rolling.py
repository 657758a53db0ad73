"""Two versions of an app, on two servers: schedules, options and schemas are those of the one deployed last."""

from __future__ import annotations

import json
import logging
import typing as t

import httpx
import pytest

from nextmq_server.dispatch import dispatcher as dispatcher_module
from nextmq_server.dispatch.egress.rules import EgressRules
from nextmq_server.embedded import EmbeddedValkey
from nextmq_server.projects.projects import Project
from nextmq_server.service import Service
from nextmq_server.workers import registry as registry_module
from nextmq_server.workers import workers as workers_module
from nextmq_server.workers.registration import Registration
from nextmq_server.workers.registry import OlderVersion, WorkerConflict
from tests.support.api import WORKER, registration

if t.TYPE_CHECKING:
    from ..conftest import App, WaitUntil

pytestmark = pytest.mark.anyio

HOUR = 3_600_000

HISTORIES = {
    "a new one": ("1 2", "2"),
    "a new one, asked by the old one": ("1 2 1", "2"),
    "the old one answers a job": ("1 2 o1", "2"),
    "the old one answers a job and asks beside it": ("1 +61 2 o1 1", "2"),
    "the old one asks each minute, the new one answers now and then": (
        "1 2 +60 1 +60 1 +60 o2 1 +60 1 +60 1 +60 o2 1 +60 1",
        "2",
    ),
    "both answer in turn": ("1 2 o1 o2 +90 o1 o2 1 +90 o1 o2 1 +90 o2 o1 1 +90 o1 o2 1", "2"),
    "both register in turn": ("1 2 +60 1 2 +60 1 2 +60 1 2 +60 1 2 +60 1 2", "2"),
    "an old instance scales out at once": ("1 2 1 1", "2"),
    "an old instance scales out in an idle hour": ("1 2 +3600 1", "2"),
    "an old instance scales out in an idle hour and answers a job": ("1 2 +3600 1 o1 +61 1", "2"),
    "old instances scale out again and again, hours apart, and the new one answers between": (
        "1 2 +3600 1 +60 o2 +3600 1 +60 o2 +3600 1",
        "2",
    ),
    "forward twice": ("1 2 3", "3"),
    "forward twice, and both old ones ask": ("1 2 3 1 2 +60 1 2", "3"),
    "back by a deploy step": ("1 2 d1", "1"),
    "back by a deploy step, and the newer one asks": ("1 2 d1 2 +60 2", "1"),
    "back by a deploy step, and forward by another": ("1 2 d1 d2 1", "2"),
    "back without a step": ("1 2 +60 1 +60 1 +60 1 +60 1 +60 1 +60 1", "1"),
    "back without a step, with answers between two questions": ("1 2 +1 1 +90 o1 +90 o1 +60 o1 +60 1", "1"),
    "back without a step, and a job each quarter of an hour": (
        "1 2 +9 1 +900 o1 1 +900 o1 1 +900 o1 1 +900 o1 1",
        "1",
    ),
    "back without a step, too early": ("1 2 +60 1 +60 1 +60 1 +60 1 +59 1", "2"),
    "back without a step, heard four times": ("1 2 +60 1 +60 1 +60 1 +600 1 +49 1", "2"),
    "back without a step, and a newer one answers late": (
        "1 2 +60 1 +60 1 +60 1 +60 1 +59 o2 1 +60 1 +60 1 +60 1 +60 1",
        "2",
    ),
    "an old instance answers last, and another starts in an idle hour": (
        "1 2 o2 o1 1 +3600 1 o1 +49 1 +60 1",
        "2",
    ),
    "back without a step, and forward again by new instances": (
        "1 2 +60 1 +60 1 +60 1 +60 1 +60 1 +60 1 3",
        "3",
    ),
    "back and forth without a step": (
        "1 2 +60 1 +60 1 +60 1 +60 1 +60 1 +60 1 2 +60 2 +60 2 +60 2 +60 2 +60 2 +60 2",
        "2",
    ),
    "removed, and the old one comes first": ("1 2 x 1", "1"),
    "an answer of one that never registered": ("1 o2 2", "2"),
}


class Clock:
    """A clock in Unix s that the test sets."""

    now = 1_790_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry_module, "POLL_INTERVAL", 0.01)
    monkeypatch.setattr(workers_module, "HEARD_INTERVAL", 0.0)
    monkeypatch.setattr(dispatcher_module, "TELL_INTERVAL", 0.0)


@pytest.fixture
def clock(service: Service, monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Return the clock of the first server's registry, and of the second's."""
    clock = Clock()
    monkeypatch.setattr(service.registry, "_clock", clock)
    return clock


@pytest.fixture
async def second(
    valkey: EmbeddedValkey, project: Project, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> t.AsyncIterator[Service]:
    """Run another server process of the project."""
    service = Service(project, valkey.url, egress=EgressRules.for_development())
    monkeypatch.setattr(service.registry, "_clock", clock)
    await service.start()
    yield service
    await service.stop(grace=0)


def version(project: Project, number: str, **changes: t.Any) -> Registration:
    """Return a version's registration: its schedule, its options and its schemas have its number."""
    body = registration(
        project,
        fingerprint=f"f{number}",
        release=f"r{number}",
        options={"concurrency": int(number)},
        schedules=[{"id": f"s{number}", "every": HOUR}],
        schemas={f"j{number}": {}},
        **changes,
    )
    return Registration.model_validate(body)


async def play(services: tuple[Service, Service], project: Project, clock: Clock, history: str) -> None:
    """Play a history: 1 registers, d1 is its deploy step, o1 its outcome, +60 are 60 s, x removes the worker."""
    for turn, step in enumerate(history.split()):
        workers = services[turn % 2].workers
        match step[0]:
            case "+":
                clock.now += int(step[1:])
            case "x":
                await workers.unregister("emails")
            case "o":
                await workers.registry.hear("emails", f"f{step[1:]}", project.secrets[0].id)
            case _:
                number = step.removeprefix("d")
                try:
                    await workers.register("emails", version(project, number, deploy=step != number), replace=None)
                except OlderVersion:
                    assert step == number


async def parts(service: Service) -> dict[str, object]:
    """Return the numbers of the versions whose parts hold."""
    held = service.registry.get("emails")
    if held is None or "emails" not in service.workers._hub.queues:
        return {}
    schedules = await service.schedulers.page("emails", 0, 99, ascending=True)
    return {
        "schedules": [scheduler.view["id"][1:] for scheduler in schedules],
        "options": str(service.workers._hub.queues["emails"].options.concurrency),
        "schemas": [name[1:] for name in json.loads(held.schemas or "{}")],
    }


@pytest.mark.parametrize(("history", "last"), HISTORIES.values(), ids=HISTORIES)
async def test_all_parts_are_those_of_the_version_deployed_last(
    service: Service,
    second: Service,
    project: Project,
    clock: Clock,
    wait_until: WaitUntil,
    history: str,
    last: str,
) -> None:
    await play((service, second), project, clock, history)
    expected = {"schedules": [last], "options": last, "schemas": [last]}

    async def is_so() -> bool:
        return [await parts(service), await parts(second)] == [expected, expected]

    await wait_until(is_so)


@pytest.mark.parametrize("by", [-3600.0, 0.0, 3600.0], ids=["an hour behind", "right", "an hour ahead"])
async def test_the_clocks_of_two_servers_decide_nothing(
    service: Service,
    valkey: EmbeddedValkey,
    project: Project,
    monkeypatch: pytest.MonkeyPatch,
    by: float,
) -> None:
    import time

    other = Service(project, valkey.url, egress=EgressRules.for_development())
    await other.start()
    await service.workers.register("emails", version(project, "1", age=60_000), replace=None)
    await service.workers.register("emails", version(project, "2", age=1_000), replace=None)
    right = time.time
    with monkeypatch.context() as patch:
        patch.setattr(time, "time", lambda: right() + by)
        with pytest.raises(OlderVersion):
            await other.workers.register("emails", version(project, "1", age=500), replace=None)
        held = await other.workers.register("emails", version(project, "2", age=1_000), replace=None)
    await other.stop(grace=0)
    assert abs(held.last_seen - right() * 1000) < 60_000


async def test_one_answer_of_the_old_app_leaves_a_new_schedule(
    service: Service, app: App, clock: Clock, project: Project, wait_until: WaitUntil
) -> None:
    old = version(project, "1").model_copy(update={"url": app.url})
    new = version(project, "2").model_copy(update={"url": app.url})
    await service.workers.register("emails", old, replace=None)
    clock.now += 61
    await service.workers.register("emails", new, replace=None)
    app.outcome |= {"worker": {"fingerprint": "f1"}}
    await service.add([service.jobs.new("emails", "welcome", None, {}, now=0)])
    await wait_until(lambda: app.deliveries)
    with pytest.raises(OlderVersion):
        await service.workers.register("emails", old, replace=None)
    assert await parts(service) == {"schedules": ["2"], "options": "2", "schemas": ["2"]}
    assert app.deliveries[0]["worker"] == {"fingerprint": "f2"}


async def test_an_answer_counts_for_the_version_that_it_tells(
    service: Service, app: App, clock: Clock, project: Project, wait_until: WaitUntil
) -> None:
    old, new = (version(project, each).model_copy(update={"url": app.url}) for each in "12")
    await service.workers.register("emails", old, replace=None)
    await service.workers.register("emails", new, replace=None)
    app.outcome |= {"worker": {"fingerprint": "f1"}}
    for number in range(6):
        clock.now += 60
        await service.add([service.jobs.new("emails", "welcome", None, {}, now=0)])
        await wait_until(lambda: len(app.deliveries) == number + 1)  # noqa: B023 - awaited at once
        await wait_until(lambda: not service.workers._hearing and service.workers._heard_at)
    await service.workers.register("emails", old, replace=None)
    assert (await parts(service))["options"] == "1"


@pytest.mark.parametrize("tells", [{}, {"worker": {}}, {"worker": None}, {"worker": {"fingerprint": 5}}])
async def test_an_answer_that_tells_none_counts_for_the_version_of_its_delivery(
    service: Service,
    app: App,
    clock: Clock,
    project: Project,
    wait_until: WaitUntil,
    tells: dict[str, object],
) -> None:
    old, new = (version(project, each).model_copy(update={"url": app.url}) for each in "12")
    await service.workers.register("emails", old, replace=None)
    await service.workers.register("emails", new, replace=None)
    app.outcome |= tells
    for number in range(6):
        clock.now += 60
        await service.add([service.jobs.new("emails", "welcome", None, {}, now=0)])
        await wait_until(lambda: len(app.deliveries) == number + 1)  # noqa: B023 - awaited at once
        await wait_until(lambda: not service.workers._hearing and service.workers._heard_at)
        with pytest.raises(OlderVersion):
            await service.workers.register("emails", old, replace=None)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


async def test_a_takeover_is_a_warning_with_both_releases_and_what_differs(
    service: Service, project: Project, caplog: pytest.LogCaptureFixture
) -> None:
    await service.workers.register("emails", version(project, "4"), replace=None)
    await service.workers.register("emails", version(project, "8"), replace=None)
    assert warnings(caplog) == [
        'queue emails: release "r8" takes over from release "r4": concurrency 4 → 8; schedules added: s8; '
        "schedules removed: s4; schemas"
    ]


async def test_in_five_minutes_there_is_one_warning_whichever_server_takes_the_registrations(
    service: Service, second: Service, project: Project, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    await play((service, second), project, clock, "1 2 3 d1 +298 d2")
    before = len(warnings(caplog))
    await play((service, second), project, clock, "+2 d3")
    assert (before, len(warnings(caplog))) == (1, 2)


@pytest.mark.parametrize("deploy", [False, True])
async def test_another_url_takes_over_only_by_a_deploy_step(
    service: Service, project: Project, deploy: bool
) -> None:
    await service.workers.register("emails", version(project, "1"), replace=None)
    laptop = version(project, "2", deploy=deploy).model_copy(update={"url": "http://127.0.0.1:10/queues/emails"})
    if not deploy:
        with pytest.raises(WorkerConflict):
            await service.workers.register("emails", laptop, replace=None)
        return
    assert (await service.workers.register("emails", laptop, replace=None)).url == laptop.url


@pytest.mark.parametrize(
    ("ages", "schemas"),
    [((60_000, 1_000), "new"), ((1_000, 60_000), "old"), ((None, None), "new"), ((5_000, None), "new")],
    ids=["the later process", "the earlier process", "SDKs that do not tell", "one that does not tell"],
)
async def test_of_two_processes_of_one_version_the_one_that_started_last_has_its_schemas(
    service: Service, project: Project, ages: tuple[int | None, int | None], schemas: str
) -> None:
    for name, age in zip(("old", "new"), ages, strict=True):
        body = registration(project, schemas={name: {}}, age=age)
        await service.workers.register("emails", Registration.model_validate(body), replace=None)
    held = service.registry.get("emails")
    assert held is not None
    assert list(json.loads(held.schemas or "{}")) == [schemas]


@pytest.mark.parametrize(
    ("ages", "url"),
    [((60_000, 1_000), 2), ((1_000, 60_000), 1), ((None, None), 2)],
    ids=["the later process", "the earlier process", "SDKs that do not tell"],
)
async def test_in_development_the_process_that_started_last_has_the_queue(
    valkey: EmbeddedValkey,
    project: Project,
    ages: tuple[int | None, int | None],
    url: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    service = Service(project, valkey.url, egress=EgressRules.for_development(), replace_workers=True)
    await service.start()
    for number, age in enumerate(ages, 1):
        body = version(project, str(number), age=age).model_copy(update={"url": f"http://127.0.0.1:{number}/x"})
        try:
            await service.workers.register("emails", body, replace=None)
        except OlderVersion:
            assert url == 1
    held = service.registry.get("emails")
    await service.stop(grace=0)
    assert held is not None
    assert (held.url, warnings(caplog)) == (f"http://127.0.0.1:{url}/x", [])


async def test_a_version_is_held_by_a_server_that_was_stored_before_versions_were(
    service: Service, project: Project
) -> None:
    await service.workers.register("emails", version(project, "1"), replace=None)
    await service.registry._connection.execute("DEL", service.registry._versions_key)
    await service.workers.register("emails", version(project, "2"), replace=None)
    with pytest.raises(OlderVersion):
        await service.workers.register("emails", version(project, "1"), replace=None)


async def test_an_older_version_is_answered_200_and_changes_nothing(
    api: httpx.AsyncClient, project: Project
) -> None:
    old, new = (registration(project, fingerprint=f"f{each}", options={"concurrency": each}) for each in (1, 2))
    await api.put(WORKER, json=old)
    held = (await api.put(WORKER, json=new)).json()
    answer = await api.put(WORKER, json=old)
    assert (answer.status_code, answer.json()) == (200, {"current": False})
    assert (await api.get(WORKER)).json() == held


@pytest.mark.parametrize("age", [-1, "old", 1.5, 10 * 365 * 86_400_000 + 1])
async def test_an_age_that_cannot_be_is_refused(api: httpx.AsyncClient, project: Project, age: object) -> None:
    assert (await api.put(WORKER, json=registration(project, age=age))).status_code == 422


async def test_what_an_app_of_an_older_sdk_sends_is_taken(api: httpx.AsyncClient, project: Project) -> None:
    sent = registration(project, sdk="nextmq-python/0.1.0", schemas=None)
    assert not sent.keys() & {"age", "release", "deploy"}
    held = (await api.put(WORKER, json=sent)).json()
    assert {name: held[name] for name in sent if name != "options"} | {"options": {}} == sent
