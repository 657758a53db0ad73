"""A project's file, its key and its connection string."""

from __future__ import annotations

import hmac
import json
import re
import typing as t
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextmq_handler.errors import ConfigurationError
from nextmq_handler.settings import parse_connection_string
from nextmq_server.projects.projects import Project, load_or_create_project, new_project

SECRET = "whsec_" + "A" * 32
CONTENT: dict[str, t.Any] = {"name": "dev", "apiKeys": ["nmq_1"], "webhookSecrets": [SECRET], "prefix": "bull"}

NO_PROJECTS: dict[str, bytes] = {
    "empty": b"",
    "cut off": json.dumps(CONTENT).encode()[:-20],
    "not JSON": b"nextmq://key:secret@host/dev",
    "not UTF-8": b"\xff\xfe{}",
    "a list": b"[]",
    "a string": b'"dev"',
    "null": b"null",
    **{
        f"{name}={json.dumps(value)}": json.dumps(CONTENT | {name: value}).encode()
        for name, value in [
            ("name", None),
            ("name", ""),
            ("apiKeys", []),
            ("apiKeys", None),
            ("apiKeys", "nmq_1"),
            ("apiKeys", [5]),
            ("apiKeys", [""]),
            ("apiKeys", ["nmq 1"]),
            ("apiKey", "nmq_1"),
            ("prefix", None),
            ("webhookSecrets", []),
            ("webhookSecrets", None),
            ("webhookSecrets", SECRET),
            ("webhookSecrets", [5]),
            ("webhookSecrets", ["whsec_short"]),
        ]
    },
    **{
        f"without {missing}": json.dumps({k: v for k, v in CONTENT.items() if k != missing}).encode()
        for missing in CONTENT
    },
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the path of a project file; neither it nor its folder exists yet."""
    return tmp_path / "data" / "project.json"


def test_a_new_project_has_the_name_asked_for(path: Path) -> None:
    assert load_or_create_project(path, "shop").name == "shop"


def test_a_new_project_has_the_prefix_that_bullmq_clients_use(path: Path) -> None:
    assert load_or_create_project(path, "dev").prefix == "bull"


def test_two_new_projects_have_neither_key_nor_secret_in_common() -> None:
    one, two = new_project("dev"), new_project("dev")
    assert not {*one.api_keys, *one.webhook_secrets} & {*two.api_keys, *two.webhook_secrets}


def test_the_file_is_for_its_owner_only(path: Path) -> None:
    load_or_create_project(path, "dev")
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_folder_is_for_its_owner_only(path: Path) -> None:
    load_or_create_project(path, "dev")
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_loading_again_gives_the_same_project(path: Path) -> None:
    made = load_or_create_project(path, "dev")
    assert load_or_create_project(path, "dev") == made


def test_loading_again_keeps_the_name_that_the_project_has(path: Path) -> None:
    load_or_create_project(path, "dev")
    assert load_or_create_project(path, "other").name == "dev"


def test_loading_again_leaves_the_file_as_it_is(path: Path) -> None:
    load_or_create_project(path, "dev")
    before = path.read_bytes()
    load_or_create_project(path, "dev")
    assert path.read_bytes() == before


def test_a_file_may_hold_several_secrets(path: Path) -> None:
    path.parent.mkdir()
    path.write_text(json.dumps(CONTENT | {"webhookSecrets": [SECRET, "x" * 24]}))
    assert load_or_create_project(path, "dev").webhook_secrets == (SECRET, "x" * 24)


@pytest.mark.parametrize("content", NO_PROJECTS.values(), ids=NO_PROJECTS)
def test_a_file_that_is_no_projects_is_named_with_the_way_out(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=rf"^{re.escape(str(path))} .*: delete the file"):
        load_or_create_project(path, "dev")


@pytest.mark.parametrize("content", NO_PROJECTS.values(), ids=NO_PROJECTS)
def test_a_file_that_is_no_projects_is_left_as_it_is(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(ConfigurationError):
        load_or_create_project(path, "dev")
    assert path.read_bytes() == content


def test_the_error_of_a_file_that_is_no_projects_quotes_none_of_it(path: Path) -> None:
    path.parent.mkdir()
    path.write_text(json.dumps(CONTENT | {"webhookSecrets": ["whsec_hunter2"]}))
    with pytest.raises(ConfigurationError) as caught:
        load_or_create_project(path, "dev")
    assert "hunter2" not in str(caught.value)


def test_a_folder_that_is_a_file_is_named_with_the_option_to_look_at(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file where the folder should be")
    with pytest.raises(ConfigurationError, match=rf"^{re.escape(str(tmp_path))}.*--data-dir"):
        load_or_create_project(tmp_path / "data" / "project.json", "dev")


def test_a_folder_that_cannot_be_made_is_named_with_the_option_to_look_at(tmp_path: Path) -> None:
    (tmp_path / "data").symlink_to(tmp_path / "gone" / "away")
    with pytest.raises(ConfigurationError, match=rf"^{re.escape(str(tmp_path))}.*--data-dir"):
        load_or_create_project(tmp_path / "data" / "project.json", "dev")


def test_the_repr_shows_neither_key_nor_secret() -> None:
    project = new_project("dev")
    assert repr(project) == "Project(name='dev', prefix='bull')"


def test_the_repr_of_the_secrets_shows_their_ids_only() -> None:
    project = new_project("dev")
    assert repr(project.secrets) == f"(<Secret {project.secrets[0].id}>,)"


def test_a_project_has_its_key() -> None:
    project = new_project("dev")
    assert [project.find_key(project.api_key)] == [*project.keys]


def test_each_of_several_keys_is_the_projects() -> None:
    project = Project("dev", ("nmq_2", "nmq_1"), (SECRET,), "bull")
    assert [project.find_key(key) for key in ("nmq_2", "nmq_1", "nmq_3")] == [*project.keys, None]


@pytest.mark.parametrize("other", ["", "nmq_", "nmq_2", "nmq_11", "NMQ_1", "nmq_1 ", "nmq_ä", "\udcff"])
def test_a_project_has_no_other_key(other: str) -> None:
    assert Project("dev", ("nmq_1",), (SECRET,), "bull").find_key(other) is None


def test_the_id_of_a_key_is_the_start_of_a_tag_under_it() -> None:
    tag = hmac.new(b"nmq_1", b"nextmq api key id", "sha256").hexdigest()
    assert Project("dev", ("nmq_1",), (SECRET,), "bull").key_ids == (tag[:8],)


@pytest.mark.parametrize(
    ("base_url", "connection_string"),
    [
        ("http://127.0.0.1:7410", f"nextmq+http://nmq_1:{SECRET}@127.0.0.1:7410/dev"),
        ("http://[::1]:7410", f"nextmq+http://nmq_1:{SECRET}@[::1]:7410/dev"),
        ("http://nextmq:7410", f"nextmq+http://nmq_1:{SECRET}@nextmq:7410/dev?insecure=true"),
        ("https://queue.example", f"nextmq://nmq_1:{SECRET}@queue.example/dev"),
    ],
)
def test_the_connection_string_is_the_protocols(base_url: str, connection_string: str) -> None:
    assert Project("dev", ("nmq_1",), (SECRET,), "bull").connection_string(base_url) == connection_string


@given(
    name=st.text(st.characters(codec="utf-8", exclude_characters="/"), min_size=1),
    api_key=st.from_regex(r"\A[!-~]+\Z"),
    secret=st.text(st.characters(codec="utf-8"), min_size=24),
    base_url=st.sampled_from(
        ["http://127.0.0.1:1", "http://localhost", "http://[::1]:65535", "http://q", "https://q.example"]
    ),
)
def test_the_connection_string_parses_back(name: str, api_key: str, secret: str, base_url: str) -> None:
    text = Project(name, (api_key, "nmq_old"), (secret, SECRET), "bull").connection_string(base_url)
    parsed = parse_connection_string(text)
    assert (parsed.project, parsed.api_key, parsed.webhook_secret, parsed.base_url) == (
        name,
        api_key,
        secret,
        base_url,
    )


@pytest.mark.parametrize("prefix", ["", "bull:shop", "a b", "{bull}", "bull*", "x" * 101])
def test_a_prefix_that_could_hold_another_projects_is_refused(prefix: str) -> None:
    project = new_project("shop")
    with pytest.raises(ConfigurationError, match="choose one of"):
        Project(project.name, project.api_keys, project.webhook_secrets, prefix)
