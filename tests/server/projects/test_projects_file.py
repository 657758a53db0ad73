"""The projects file of `nextmq serve`: reading it, refusing it, adding a project."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest

from nextmq_handler.errors import ConfigurationError
from nextmq_server.projects.projects import Project
from nextmq_server.projects.projects_file import add_project, change_project, check_base_url, load_projects
from nextmq_server.projects.roles import Role
from nextmq_server.projects.rotation import with_key_of

SECRET = "whsec_" + "A" * 32
KEY = "nmq_" + "0" * 40


def entry(name: str = "shop", **changes: t.Any) -> dict[str, t.Any]:
    """Return an unused project as the file holds it."""
    return {"name": name, "apiKeys": [f"{KEY}{name}"], "webhookSecrets": [SECRET], "prefix": name} | changes


REFUSED: dict[str, tuple[t.Any, str]] = {
    "no array": (entry(), "the file: Input should be a valid"),
    "an entry that is no object": (["shop"], "0: Input should be an object"),
    "a member too few": ([entry(), {"name": "blog"}], "1.apiKeys: Field required"),
    "a member too many": ([entry(webhookSecret=SECRET)], "0.webhookSecret: Extra inputs"),
    "no key": ([entry(apiKeys=[])], "0.apiKeys: List should have at least 1 item"),
    "a key that is no text": ([entry(apiKeys=[KEY, 5])], "0.apiKeys.1: Input should be a valid string"),
    "a key with a space": ([entry(apiKeys=[f"{KEY} "])], "0.apiKeys.0: String should match"),
    "a key that can be guessed": ([entry(apiKeys=["test"])], "shop has fewer than 16 characters"),
    "no secret": ([entry(webhookSecrets=[])], "0.webhookSecrets: List should have at least 1 item"),
    "a short secret": ([entry(webhookSecrets=["hunter2"])], "a webhook secret of project shop is too short"),
    "a retired secret that is no id": (
        [entry(retiredSecrets=[SECRET])],
        "0.retiredSecrets.0: String should match",
    ),
    "a name for no URL": ([entry(name="a/b", prefix="a")], "project 'a/b': choose a name"),
    "a prefix that BullMQ splits": ([entry(prefix="a:b")], "the prefix 'a:b': choose one"),
    "the prefix of the server's own keys": ([entry(prefix="nextmq")], "the prefix of the server's own keys"),
    "a name twice": ([entry(), entry(prefix="b", apiKeys=[f"{KEY}2"])], "the same name"),
    "a prefix twice": ([entry(), entry("blog", prefix="shop")], "the same prefix"),
    "a key twice": ([entry(), entry("blog", apiKeys=[f"{KEY}blog", f"{KEY}shop"])], "the same API key"),
    "a role that there is not": (
        [entry(apiKeys=[{"key": KEY, "role": "root"}])],
        "0.apiKeys.0.role: Input should be 'app', 'viewer', 'operator' or 'admin'",
    ),
    "a role without a key": ([entry(apiKeys=[{"role": "app"}])], "0.apiKeys.0.key: Field required"),
    "a short key with a role": ([entry(apiKeys=[{"key": "test"}])], "shop has fewer than 16 characters"),
    "a key with two roles": (
        [entry(apiKeys=[KEY + "1", {"key": KEY + "1", "role": "viewer"}])],
        "shop has an API key twice, with another role or name",
    ),
    "nothing": ([], "contains no project: add one with nextmq projects add NAME --projects"),
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "etc" / "projects.json"


def write(path: Path, content: object) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content))


def test_each_project_has_its_keys_secrets_and_prefix(path: Path) -> None:
    write(path, [entry(apiKeys=[f"{KEY}2", f"{KEY}1"]), entry("blog", webhookSecrets=["x" * 24, SECRET])])
    assert [(p.name, p.api_keys, p.webhook_secrets, p.prefix) for p in load_projects(path)] == [
        ("shop", (f"{KEY}2", f"{KEY}1"), (SECRET,), "shop"),
        ("blog", (f"{KEY}blog",), ("x" * 24, SECRET), "blog"),
    ]


def test_a_key_may_be_an_object_with_a_role_and_a_name(path: Path) -> None:
    of_ada = {"key": f"{KEY}ada", "role": "operator", "name": "ada"}
    write(path, [entry(apiKeys=[f"{KEY}shop", of_ada])])
    [project] = load_projects(path)
    assert [(key.role, key.name) for key in project.keys] == [("admin", None), ("operator", "ada")]


def test_a_key_of_a_role_is_written_and_read_back(path: Path) -> None:
    write(path, [entry()])
    changed = change_project(path, "shop", lambda project: with_key_of(project, Role.VIEWER, "grafana"))
    assert load_projects(path) == (changed,)
    assert changed.api_key == f"{KEY}shop"  # that of the connection string stays


@pytest.mark.parametrize(("content", "problem"), REFUSED.values(), ids=REFUSED)
def test_another_file_is_refused_with_the_place_and_the_reason(path: Path, content: t.Any, problem: str) -> None:
    write(path, content)
    with pytest.raises(ConfigurationError) as caught:
        load_projects(path)
    assert str(caught.value).startswith(f"{path}")
    assert problem in str(caught.value)


@pytest.mark.parametrize(("content", "problem"), REFUSED.values(), ids=REFUSED)
def test_a_refusal_quotes_neither_key_nor_secret(path: Path, content: t.Any, problem: str) -> None:
    write(path, content)
    with pytest.raises(ConfigurationError) as caught:
        load_projects(path)
    assert [text for text in (KEY, SECRET, "hunter2") if text in str(caught.value)] == []


@pytest.mark.parametrize(
    "content", [b"", b"[", b"\xff\xfe[]", b"[" * 100_000], ids=["empty", "cut", "UTF-16", "deep"]
)
def test_a_file_that_is_not_json_is_refused(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match="the file: Invalid JSON"):
        load_projects(path)


def test_a_file_that_is_not_there_is_refused_with_the_command_that_makes_it(path: Path) -> None:
    with pytest.raises(
        ConfigurationError, match=f"does not exist: create it with nextmq projects add NAME --projects {path}"
    ):
        load_projects(path)


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"cannot be read: Is a directory; is --projects right\?"):
        load_projects(tmp_path)


def test_an_added_project_is_read_back(path: Path) -> None:
    added = add_project(path, "shop", prefix="bull")
    assert load_projects(path) == (added,)


def test_adding_leaves_the_other_projects_as_they_are(path: Path) -> None:
    write(path, [entry(retiredSecrets=["0a1b2c3d"]), entry("blog")])
    before = load_projects(path)
    add_project(path, "wiki", prefix="wiki")
    assert load_projects(path)[:2] == before


def test_the_file_is_for_its_owner_only_whatever_it_was(path: Path) -> None:
    write(path, [entry()])
    path.chmod(0o644)
    add_project(path, "blog", prefix="blog")
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_symbolic_link_to_the_file_stays_one(path: Path, tmp_path: Path) -> None:
    write(path, [entry()])
    link = tmp_path / "link.json"
    link.symlink_to(path)
    add_project(link, "blog", prefix="blog")
    assert (link.is_symlink(), len(load_projects(path))) == (True, 2)


@pytest.mark.parametrize(
    ("name", "prefix", "problem"),
    [
        ("shop", "other", "the same name"),
        ("other", "shop", "the same prefix"),
        ("other", "nextmq", "the server's own keys"),
        ("a/b", "ab", "choose a name"),
        ("..", "dots", "choose a name"),
        ("other", "a:b", "choose one of"),
    ],
)
def test_a_project_that_gets_in_the_way_is_refused_and_the_file_left(
    path: Path, name: str, prefix: str, problem: str
) -> None:
    write(path, [entry()])
    before = path.read_bytes()
    with pytest.raises(ConfigurationError, match=problem):
        add_project(path, name, prefix=prefix)
    assert path.read_bytes() == before


def test_a_refused_project_leaves_nothing_beside_the_file(path: Path) -> None:
    write(path, [entry()])
    with pytest.raises(ConfigurationError):
        add_project(path, "shop", prefix="shop")
    assert list(path.parent.iterdir()) == [path]


def test_two_that_add_at_once_do_not_overwrite_each_other(path: Path) -> None:
    write(path, [entry()])
    path.with_name("projects.json.draft").touch()
    with pytest.raises(ConfigurationError, match=r"changed by another nextmq projects command: try again"):
        add_project(path, "blog", prefix="blog")


def test_a_file_that_cannot_be_read_is_not_overwritten(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("[{")
    with pytest.raises(ConfigurationError, match="Invalid JSON"):
        add_project(path, "blog", prefix="blog")
    assert path.read_text() == "[{"


@pytest.mark.parametrize("url", ["https://queue.example", "https://queue.example/", "http://[::1]:7410"])
def test_the_url_of_a_server_makes_a_connection_string(url: str) -> None:
    string = Project("shop", (KEY,), (SECRET,), "bull").connection_string(check_base_url(url))
    assert string.endswith(url.partition("://")[2].rstrip("/") + "/shop")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "queue.example",
        "ftp://queue.example",
        "https://",
        "https://a@queue.example",
        "https://queue.example/path",
        "https://queue.example?a",
        "https://queue.example:port",
        "https://[::1",
        "https://queue.example\n",
    ],
)
def test_another_url_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="--url"):
        check_base_url(url)
