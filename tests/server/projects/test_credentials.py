"""Rotating keys and secrets: when each was last used, and which webhook secrets must stay."""

from __future__ import annotations

import dataclasses
import logging
import typing as t

import pytest

from nextmq_handler.errors import ConfigurationError
from nextmq_server.projects.credentials import IN_USE, Credentials, LastUse
from nextmq_server.projects.last_uses import NOTE_INTERVAL, LastUses
from nextmq_server.projects.projects import Project, new_project
from nextmq_server.redis.keys import ProjectKeys
from nextmq_server.workers.registration import Registration
from nextmq_server.workers.registry import Registry
from tests.support.api import registration

if t.TYPE_CHECKING:
    from ..conftest import Engine

pytestmark = pytest.mark.anyio

START = 1_790_000_000.0


class Clock:
    """A clock in Unix s that the test sets."""

    now = START

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def registry(engine: Engine, project: Project) -> Registry:
    return Registry(engine.redis, ProjectKeys(project.name))


@pytest.fixture
def rotating(project: Project) -> Project:
    """Return the project with a new secret before its old one."""
    secrets = (*new_project("other").webhook_secrets, *project.webhook_secrets)
    return dataclasses.replace(project, webhook_secrets=secrets)


@pytest.fixture
def retiring(rotating: Project) -> Project:
    """Return the project without its old secret."""
    return dataclasses.replace(rotating, webhook_secrets=rotating.webhook_secrets[:1])


@pytest.fixture
def credentials(engine: Engine, rotating: Project, registry: Registry, clock: Clock) -> Credentials:
    return Credentials(rotating, engine.redis, engine.keys, registry, clock=clock)


@pytest.fixture
def old_id(rotating: Project) -> str:
    return rotating.secrets[1].id


@pytest.fixture
def uses(engine: Engine, clock: Clock) -> LastUses:
    return LastUses(engine.redis, engine.key("uses"), clock=clock)


async def register(registry: Registry, project: Project, *ids: str) -> None:
    """Register the app of the queue emails with the secrets of these ids."""
    worker = Registration.model_validate(registration(project, secretIds=[*ids]))
    await registry.put("emails", worker, replace=False)


async def test_a_use_is_seen_by_others(uses: LastUses, engine: Engine) -> None:
    uses.note("a")
    assert await LastUses(engine.redis, engine.key("uses")).read() == {"a": round(START * 1000)}


async def test_within_a_minute_a_use_is_written_once(uses: LastUses, clock: Clock) -> None:
    uses.note("a")
    clock.now += NOTE_INTERVAL - 1
    uses.note("a")
    assert await uses.read() == {"a": round(START * 1000)}


async def test_after_a_minute_a_use_is_written_again(uses: LastUses, clock: Clock) -> None:
    uses.note("a")
    clock.now += NOTE_INTERVAL
    uses.note("a")
    assert await uses.read() == {"a": round((START + NOTE_INTERVAL) * 1000)}


async def test_a_use_that_could_not_be_written_is_with_the_next(uses: LastUses, engine: Engine) -> None:
    await engine.redis.execute("SET", engine.key("uses"), "no hash")
    uses.note("a")
    await engine.redis.execute("DEL", engine.key("uses"))
    uses.note("a")
    assert await uses.read() == {"a": round(START * 1000)}


async def test_the_key_of_a_request_is_used(credentials: Credentials, project: Project) -> None:
    credentials.admit(project.api_key)
    assert await credentials.api_keys() == [LastUse(project.key_ids[0], round(START * 1000))]


async def test_a_wrong_key_is_no_use(credentials: Credentials, project: Project) -> None:
    credentials.admit(project.api_key + "x")
    assert await credentials.api_keys() == [LastUse(project.key_ids[0], None)]


async def test_each_secret_has_its_own_last_use(credentials: Credentials, rotating: Project, old_id: str) -> None:
    credentials.note_signed(old_id)
    assert await credentials.webhook_secrets() == [
        LastUse(rotating.secrets[0].id, None),
        LastUse(old_id, round(START * 1000)),
    ]


async def test_a_secret_that_signed_within_a_day_may_not_go(
    credentials: Credentials, retiring: Project, clock: Clock, old_id: str
) -> None:
    credentials.note_signed(old_id)
    clock.now += IN_USE - 1
    with pytest.raises(ConfigurationError, match=f"{old_id}: it signed an outcome at 2026-09-21 14:13:20 UTC"):
        await credentials.check(retiring)


async def test_a_secret_that_signed_a_day_ago_may_go(
    credentials: Credentials, retiring: Project, clock: Clock, old_id: str
) -> None:
    credentials.note_signed(old_id)
    clock.now += IN_USE
    await credentials.check(retiring)
    credentials.rotate(retiring)
    assert [use.id for use in await credentials.webhook_secrets()] == [retiring.secrets[0].id]


async def test_the_only_secret_of_an_app_may_not_go(
    credentials: Credentials, registry: Registry, retiring: Project, old_id: str
) -> None:
    await register(registry, retiring, old_id)
    with pytest.raises(ConfigurationError, match=f"{old_id}: the app of queue emails registered with none"):
        await credentials.check(retiring)


async def test_a_secret_of_an_app_that_has_the_new_one_too_may_go(
    credentials: Credentials, registry: Registry, retiring: Project, old_id: str, caplog: pytest.LogCaptureFixture
) -> None:
    await register(registry, retiring, retiring.secrets[0].id, old_id)
    await credentials.check(retiring)
    credentials.rotate(retiring)
    assert caplog.records == []


async def test_a_used_secret_named_as_retired_may_go(
    credentials: Credentials, registry: Registry, retiring: Project, old_id: str
) -> None:
    credentials.note_signed(old_id)
    await register(registry, retiring, old_id)
    forced = dataclasses.replace(retiring, retired_secrets=(old_id,))
    await credentials.check(forced)
    credentials.rotate(forced)
    assert [use.id for use in await credentials.webhook_secrets()] == [retiring.secrets[0].id]


async def test_a_refusal_names_secrets_by_their_ids_only(
    credentials: Credentials, rotating: Project, retiring: Project, old_id: str
) -> None:
    credentials.note_signed(old_id)
    with pytest.raises(ConfigurationError) as caught:
        await credentials.check(retiring)
    texts = (*rotating.webhook_secrets, *(key.key for key in rotating.keys))
    assert [text for text in texts if text in str(caught.value)] == []


async def test_what_cannot_be_looked_up_may_not_go(
    credentials: Credentials, engine: Engine, retiring: Project
) -> None:
    await engine.redis.execute("SET", engine.keys("webhook-secret-uses"), "no hash")
    with pytest.raises(ConfigurationError, match=r"is in use \(Redis answered WRONGTYPE"):
        await credentials.check(retiring)


async def test_a_start_without_a_used_secret_is_warned_of(
    credentials: Credentials,
    engine: Engine,
    registry: Registry,
    retiring: Project,
    clock: Clock,
    old_id: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    credentials.note_signed(old_id)
    with caplog.at_level(logging.WARNING):
        await Credentials(retiring, engine.redis, engine.keys, registry, clock=clock).warn_of_missing()
    [record] = caplog.records
    assert f"webhook secret {old_id} signed outcomes within a day" in record.getMessage()
