"""The file of `nextmq serve`: a JSON array of projects, which operators edit and `nextmq projects add` adds to."""

from __future__ import annotations

import contextlib
import json
import os
import typing as t
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import TypeAdapter, ValidationError

from nextmq_handler.errors import ConfigurationError
from nextmq_handler.protocol.names import check_queue_name

from .projects import Project, StoredProject, new_project, to_stored

MIN_KEY_LENGTH = 16
"""The shortest API key, in characters: this file is what a server in the open is started with."""

_OWN_KEYS = "nextmq"
"""What the keys that the server itself keeps in Redis start with."""

_entries = TypeAdapter(list[StoredProject])


def load_projects(path: Path) -> tuple[Project, ...]:
    """The projects in the file `path`, at least one.

    Raises ConfigurationError, naming the member and never its value, where it cannot be read or two projects
    would get in each other's way.
    """
    try:
        projects = _parse(path.read_bytes(), path)
    except FileNotFoundError:
        raise ConfigurationError(f"{path} is not there: make it with {_adding(path)}") from None
    except OSError as exc:
        raise ConfigurationError(f"{path} cannot be read: {exc.strerror}; is --projects right?") from None
    if not projects:
        raise ConfigurationError(f"{path} holds no project: add one with {_adding(path)}")
    return projects


def add_project(path: Path, name: str, *, prefix: str) -> Project:
    """A new project, added to the file `path`, which from then on only its owner reads.

    Raises ConfigurationError where the file cannot be read or written, or where the project gets in the way of one
    that is there.
    """
    path = path.resolve()  # a symbolic link stays one
    draft = path.with_name(f"{path.name}.draft")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise ConfigurationError(
            f"{path} is being changed by another nextmq projects add: try again, or delete {draft} if none runs"
        ) from None
    except OSError as exc:
        raise ConfigurationError(f"{path} cannot be written: {exc.strerror}; is --projects right?") from None
    try:
        with os.fdopen(descriptor, "w") as file:
            before = path.read_bytes() if path.exists() else b"[]"
            project = new_project(name, prefix=prefix)
            projects = (*_parse(before, path), project)
            _check_apart(projects, path)
            json.dump([to_stored(each) for each in projects], file, indent=2)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as exc:
        raise ConfigurationError(f"{path} cannot be changed: {exc.strerror}; is --projects right?") from None
    finally:
        with contextlib.suppress(FileNotFoundError):
            draft.unlink()
    return project


def check_base_url(text: str) -> str:
    """The URL that apps reach the server at, as a connection string takes it. Raises ConfigurationError."""
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("http", "https") and parts.hostname and "@" not in parts.netloc
        _ = parts.port
    except ValueError:
        raise ConfigurationError(f"--url {text!r} is not a URL") from None
    if not usable or parts.path not in ("", "/") or parts.query or parts.fragment or not text.isprintable():
        raise ConfigurationError(f"--url {text!r} is not like https://queue.example: without a path")
    return f"{parts.scheme}://{parts.netloc}"


def _parse(content: bytes, path: Path) -> tuple[Project, ...]:
    try:
        projects = tuple(entry.project() for entry in _entries.validate_json(content))
    except ValidationError as exc:
        problem = exc.errors(include_input=False, include_context=False, include_url=False)[0]
        where = ".".join(str(part) for part in problem["loc"]) or "the file"
        raise ConfigurationError(f"{path}: {where}: {problem['msg']} (a JSON array of projects, from 0)") from None
    except ConfigurationError as exc:
        raise ConfigurationError(f"{path}: {exc}") from None
    _check_apart(projects, path)
    return projects


def _check_apart(projects: t.Sequence[Project], path: Path) -> None:
    for project in projects:
        try:
            check_queue_name(project.name)  # it is part of Redis keys and of URLs
        except ConfigurationError:
            raise ConfigurationError(
                f"{path}: project {project.name!r}: choose a name of 1 to 100 A-Z a-z 0-9 . _ ~ -"
            ) from None
        if project.prefix == _OWN_KEYS:
            raise ConfigurationError(
                f"{path}: project {project.name} has the prefix {_OWN_KEYS!r}, which the server's own keys have"
            )
        if min(map(len, project.api_keys)) < MIN_KEY_LENGTH:
            raise ConfigurationError(
                f"{path}: an API key of project {project.name} has fewer than {MIN_KEY_LENGTH} characters"
            )
    for what, values in (
        ("name", [project.name for project in projects]),
        ("prefix", [project.prefix for project in projects]),
        ("API key", [key for project in projects for key in set(project.api_keys)]),
    ):
        if len(set(values)) < len(values):
            raise ConfigurationError(f"{path}: two projects have the same {what}: each needs its own")


def _adding(path: Path) -> str:
    return f"nextmq projects add NAME --projects {path}"
