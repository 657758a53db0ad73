"""The projects file of `nextmq serve`: a JSON array, edited by operators and by `nextmq projects`."""

from __future__ import annotations

import contextlib
import os
import typing as t
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import TypeAdapter, ValidationError

from nextmq_handler.errors import ConfigurationError
from nextmq_handler.protocol.arguments import check_queue_name

from .private_file import read_private
from .projects import KEY_FORMS, Project, new_project

MIN_KEY_LENGTH = 16
"""The shortest API key, in characters: a server that uses this file may be reachable from the internet."""

_OWN_KEYS = "nextmq"
"""The prefix of the server's own Redis keys."""

# For pydantic the members of an object are arguments, and arrays are tuples.
_REASONS = {
    "too_short": "List should have at least 1 item",
    "unexpected_keyword_argument": "Extra inputs are not permitted",
}

_file = TypeAdapter(tuple[Project, ...])


def load_projects(path: Path) -> tuple[Project, ...]:
    """Return the projects in the file `path`, at least one.

    Raises ConfigurationError if the file cannot be read or two projects conflict. It names the member, never its
    value.
    """
    try:
        projects = _parse(read_private(path), path)
    except FileNotFoundError:
        raise ConfigurationError(f"{path} does not exist: create it with {_adding(path)}") from None
    except OSError as exc:
        raise ConfigurationError(f"{path} cannot be read: {exc.strerror}; is --projects right?") from None
    if not projects:
        raise ConfigurationError(f"{path} contains no project: add one with {_adding(path)}")
    return projects


def add_project(path: Path, name: str, *, prefix: str) -> Project:
    """Add a new project to the file `path` and return it. Raises as `change_projects`."""
    project = new_project(name, prefix=prefix)
    change_projects(path, lambda projects: (*projects, project))
    return project


def remove_project(path: Path, name: str) -> None:
    """Remove the project `name` from the file `path`. Raises as `change_project`."""

    def without(projects: tuple[Project, ...]) -> tuple[Project, ...]:
        found = find_project(projects, name, path)
        return tuple(project for project in projects if project is not found)

    change_projects(path, without)


def change_project(path: Path, name: str, change: t.Callable[[Project], Project]) -> Project:
    """Replace the project `name` in the file `path` with what `change` makes of it, and return that.

    Raises as `change_projects`, and ConfigurationError if there is no such project.
    """

    def changed(projects: tuple[Project, ...]) -> tuple[Project, ...]:
        found = find_project(projects, name, path)
        return tuple(change(project) if project is found else project for project in projects)

    return find_project(change_projects(path, changed), name, path)


def find_project(projects: t.Iterable[Project], name: str, path: Path) -> Project:
    """Return the project `name` of the file `path`. Raises ConfigurationError if it is not among `projects`."""
    found = {project.name: project for project in projects}
    if name not in found:
        raise ConfigurationError(f"{path} has no project {name}: choose one of {', '.join(found)}")
    return found[name]


def change_projects(
    path: Path, change: t.Callable[[tuple[Project, ...]], tuple[Project, ...]]
) -> tuple[Project, ...]:
    """Write what `change` makes of the projects in the file `path`, which only its owner can read from then on.

    Raises ConfigurationError if the file cannot be read or written or two projects conflict, and what `change`
    raises.
    """
    path = path.resolve()  # so that a symbolic link stays one
    draft = path.with_name(f"{path.name}.draft")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise ConfigurationError(
            f"{path} is being changed by another nextmq projects command: try again, or delete {draft} if none "
            "runs"
        ) from None
    except OSError as exc:
        raise ConfigurationError(f"{path} cannot be written: {exc.strerror}; is --projects right?") from None
    try:
        with os.fdopen(descriptor, "wb") as file:
            before = read_private(path) if path.exists() else b"[]"
            projects = change(_parse(before, path))
            _check_apart(projects, path)
            file.write(_file.dump_json(projects, indent=2, by_alias=True, exclude_defaults=True) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as exc:
        raise ConfigurationError(f"{path} cannot be changed: {exc.strerror}; is --projects right?") from None
    finally:
        with contextlib.suppress(FileNotFoundError):
            draft.unlink()
    return projects


def check_base_url(text: str) -> str:
    """Return the URL at which apps reach the server, for connection strings. Raises ConfigurationError."""
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("http", "https") and parts.hostname and "@" not in parts.netloc
        _ = parts.port
    except ValueError:
        raise ConfigurationError(f"--url {text!r} is not a URL") from None
    if not usable or parts.path not in ("", "/") or parts.query or parts.fragment or not text.isprintable():
        raise ConfigurationError(f"--url {text!r} must be like https://queue.example, without a path")
    return f"{parts.scheme}://{parts.netloc}"


def _parse(content: bytes, path: Path) -> tuple[Project, ...]:
    try:
        projects = _file.validate_json(content)
    except ValidationError as exc:
        problem = exc.errors(include_input=False, include_context=False, include_url=False)[0]
        where = ".".join(str(part) for part in problem["loc"] if part not in KEY_FORMS) or "the file"
        reason = _REASONS.get(problem["type"], problem["msg"].removeprefix("Value error, "))
        raise ConfigurationError(
            f"{path}: {where}: {reason} (the file is a JSON array of projects, counted from 0)"
        ) from None
    _check_apart(projects, path)
    return projects


def _check_apart(projects: t.Sequence[Project], path: Path) -> None:
    for project in projects:
        try:
            check_queue_name(project.name)  # it becomes part of Redis keys and URLs
        except ConfigurationError:
            raise ConfigurationError(
                f"{path}: project {project.name!r}: choose a name of 1 to 100 A-Z a-z 0-9 . _ ~ -"
            ) from None
        if project.prefix == _OWN_KEYS:
            raise ConfigurationError(
                f"{path}: project {project.name} has the prefix of the server's own keys, {_OWN_KEYS!r}: change it"
            )
        if len({key.key for key in project.keys}) < len(set(project.keys)):
            raise ConfigurationError(
                f"{path}: project {project.name} has an API key twice, with another role or name: each needs its "
                "own key"
            )
        if min(len(key.key) for key in project.keys) < MIN_KEY_LENGTH:
            raise ConfigurationError(
                f"{path}: an API key of project {project.name} has fewer than {MIN_KEY_LENGTH} characters: make a "
                "longer one"
            )
    for what, values in (
        ("name", [project.name for project in projects]),
        ("prefix", [project.prefix for project in projects]),
        ("API key", [key for project in projects for key in {each.key for each in project.keys}]),
    ):
        if len(set(values)) < len(values):
            raise ConfigurationError(f"{path}: two projects have the same {what}: each needs its own")


def _adding(path: Path) -> str:
    return f"nextmq projects add NAME --projects {path}"
