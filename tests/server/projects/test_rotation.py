"""The steps of a rotation, from the file to the last outcome under the old secret."""

from __future__ import annotations

import os
import typing as t
from pathlib import Path

import pytest

from nextmq_handler.errors import ConfigurationError
from nextmq_server.projects.credentials import IN_USE, Credentials
from nextmq_server.projects.projects import Project, load_or_create_project, new_project
from nextmq_server.projects.projects_file import add_project, change_project, load_projects
from nextmq_server.projects.rotation import with_new_key, with_new_secret, without
from nextmq_server.redis.keys import ProjectKeys
from nextmq_server.workers.registration import Registration
from nextmq_server.workers.registry import Registry
from tests.support.api import registration

if t.TYPE_CHECKING:
    from ..conftest import Engine

pytestmark = pytest.mark.anyio

SHOP = new_project("shop", prefix="shop")


class Clock:
    """A clock in Unix s that the test sets."""

    now = 1_790_000_000.0

    def __call__(self) -> float:
        return self.now


def test_a_new_secret_comes_first_and_the_old_one_stays() -> None:
    rotated = with_new_secret(SHOP)
    assert rotated.webhook_secrets[1:] == SHOP.webhook_secrets
    assert rotated.webhook_secrets[0] in rotated.connection_string("https://queue.example")
    assert rotated.api_keys == SHOP.api_keys


def test_a_new_key_comes_first_and_the_old_one_stays() -> None:
    rotated = with_new_key(SHOP)
    assert rotated.api_keys[1:] == SHOP.api_keys
    assert rotated.keys[0].key in rotated.connection_string("https://queue.example")
    assert rotated.webhook_secrets == SHOP.webhook_secrets


@pytest.mark.parametrize("forced", [False, True])
def test_what_is_retired_is_gone_and_forced_if_it_is_named(forced: bool) -> None:
    rotated = with_new_secret(SHOP)
    old = rotated.secrets[1].id
    retired = without(rotated, old, forced=forced)
    assert retired.webhook_secrets == rotated.webhook_secrets[:1]
    assert retired.retired_secrets == ((old,) if forced else ())


def test_an_old_key_is_gone() -> None:
    rotated = with_new_key(SHOP)
    assert without(rotated, rotated.key_ids[1], forced=False).api_keys == rotated.api_keys[:1]


@pytest.mark.parametrize(
    ("id", "problem"),
    [
        (SHOP.secrets[0].id, "is the only webhook secret of project shop"),
        (SHOP.key_ids[0], "is the only API key of project shop"),
        ("00000000", "has no API key and no webhook secret with the id 00000000"),
        (SHOP.webhook_secrets[0][:8], "has no API key and no webhook secret"),
    ],
    ids=["the only secret", "the only key", "unknown", "a part of a secret"],
)
def test_what_cannot_be_retired_is_told(id: str, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        without(SHOP, id, forced=True)


def test_a_change_of_one_project_leaves_the_others(tmp_path: Path) -> None:
    file = tmp_path / "projects.json"
    before = [add_project(file, name, prefix=name) for name in ("shop", "blog")]
    changed = change_project(file, "blog", with_new_secret)
    assert load_projects(file) == (before[0], changed)


def test_a_change_of_a_project_that_is_not_there_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "projects.json"
    add_project(file, "shop", prefix="shop")
    before = file.read_text()
    with pytest.raises(ConfigurationError, match="has no project blog: choose one of shop"):
        change_project(file, "blog", with_new_secret)
    assert (file.read_text(), [path.name for path in tmp_path.iterdir()]) == (before, ["projects.json"])


MODES = {
    "refused": [0o666, 0o602, 0o622, 0o777, 0o646, 0o662, 0o702],
    "a warning": [0o644, 0o660, 0o664, 0o604, 0o620, 0o444, 0o755],
    "taken": [0o600, 0o400, 0o700, 0o640, 0o440],
}


@pytest.mark.parametrize("load", ["projects", "project"])
@pytest.mark.parametrize(("verdict", "mode"), [(verdict, mode) for verdict in MODES for mode in MODES[verdict]])
def test_a_file_that_others_can_change_is_refused_and_one_that_they_can_read_is_a_warning(
    tmp_path: Path, verdict: str, mode: int, load: str, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "file.json"
    if load == "projects":
        add_project(file, "shop", prefix="shop")
        read: t.Callable[[], object] = lambda: load_projects(file)  # noqa: E731
    else:
        load_or_create_project(file, "dev")
        read = lambda: load_or_create_project(file, "dev")  # noqa: E731
    file.chmod(mode)
    if verdict == "refused":
        with pytest.raises(ConfigurationError, match=f"has mode {mode:04o}: every user of this machine"):
            read()
        return
    read()
    assert [f"has mode {mode:04o}" in text for text in caplog.messages] == [True] * (verdict == "a warning")


def test_a_file_that_is_made_is_read_by_its_owner_only_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        add_project(tmp_path / "projects.json", "shop", prefix="shop")
        load_or_create_project(tmp_path / "project.json", "dev")
    finally:
        os.umask(before)
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in ("projects.json", "project.json")] == [0o600] * 2


SIGNERS = {
    # queue and secret of each outcome, in order; whether the old one may go
    "none": ("", True),
    "the old one": ("a:old", False),
    "the new one": ("a:new", True),
    "the old one, then the new one": ("a:old a:new", True),
    "the new one, then the old one": ("a:new a:old", False),
    "in turn, the new one last": ("a:old a:new a:old a:new", True),
    "in turn, the old one last": ("a:new a:old a:new a:old", False),
    "two queues, one follows": ("a:old b:old a:new", False),
    "two queues, both follow": ("a:old b:old a:new b:new", True),
    "two queues, one never had the old one": ("b:new a:old", False),
    "an outcome of a day ago": ("a:old +86400 b:new", True),
    "an outcome of less than a day ago": ("a:old +86399 b:new", False),
    "an idle queue, a day later": ("a:old b:old +86400 b:new", True),
}


@pytest.mark.parametrize(("history", "may_go"), SIGNERS.values(), ids=SIGNERS)
async def test_a_secret_is_in_use_as_long_as_it_signed_the_last_outcome_of_a_queue(
    engine: Engine, project: Project, history: str, may_go: bool
) -> None:
    clock = Clock()
    rotated = with_new_secret(project)
    ids = {"new": rotated.secrets[0].id, "old": rotated.secrets[1].id}
    keys = ProjectKeys(project.name)
    credentials = Credentials(rotated, engine.redis, keys, Registry(engine.redis, keys), clock=clock)
    for event in history.split():
        clock.now += 1
        if event[0] == "+":
            clock.now += int(event[1:]) - 2
            continue
        queue, _, which = event.partition(":")
        credentials.note_signed(ids[which])
        credentials.note_signer(queue, ids[which])
    retired = without(rotated, ids["old"], forced=False)
    if may_go:
        await credentials.check(retired)
        return
    with pytest.raises(ConfigurationError, match=f"still uses webhook secret {ids['old']}"):
        await credentials.check(retired)


@pytest.mark.parametrize(("later", "may_go"), [(IN_USE - 1, False), (IN_USE, True)])
async def test_an_api_key_that_was_used_within_a_day_is_in_use(
    engine: Engine, project: Project, later: float, may_go: bool
) -> None:
    clock = Clock()
    rotated = with_new_key(project)
    keys = ProjectKeys(project.name)
    credentials = Credentials(rotated, engine.redis, keys, Registry(engine.redis, keys), clock=clock)
    credentials.admit(rotated.keys[1].key)
    clock.now += later
    retired = without(rotated, rotated.key_ids[1], forced=False)
    if may_go:
        await credentials.check_keys(retired)
        return
    with pytest.raises(ConfigurationError, match=f"still uses API key {rotated.key_ids[1]}"):
        await credentials.check_keys(retired)


@pytest.mark.parametrize("known", range(1, 17))
async def test_a_delivery_under_another_secret_makes_it_one_of_the_registration(
    engine: Engine, project: Project, known: int
) -> None:
    registry = Registry(engine.redis, ProjectKeys(project.name))
    ids = [f"{number:08x}" for number in range(known)]
    body = Registration.model_validate(registration(project, secretIds=ids))
    await registry.put("emails", body, replace=False)
    await registry.hear("emails", "f1", "ffffffff")
    await registry.load()
    held = registry.get("emails")
    assert held is not None
    assert held.secret_ids == ["ffffffff", *ids][:16]
