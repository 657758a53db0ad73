"""A project: its API keys, its webhook secrets, and the BullMQ prefix that separates its queues from others."""

from __future__ import annotations

import contextlib
import functools
import hmac
import json
import os
import re
import secrets
import typing as t
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from nextmq_handler.errors import ConfigurationError
from nextmq_handler.protocol.signing import Secret, generate_secret, parse_secret
from nextmq_handler.settings import is_loopback

_PREFIX = re.compile(r"[A-Za-z0-9._~-]{1,100}")


@dataclass(frozen=True)
class Project:
    """One project. `prefix` is the BullMQ prefix; BullMQ's clients use `bull` by default.

    Several API keys and several webhook secrets are valid at once, so that each can be rotated (protocol section
    6). The connection string has the first of each. `retired_secrets` are ids of webhook secrets that may be
    removed while they are in use. Raises ConfigurationError for a prefix that may contain another one, as `bull`
    contains `bull:shop`.
    """

    name: str
    api_keys: tuple[str, ...] = field(repr=False)
    webhook_secrets: tuple[str, ...] = field(repr=False)
    prefix: str = "bull"
    retired_secrets: tuple[str, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        if not _PREFIX.fullmatch(self.prefix):
            raise ConfigurationError(
                f"project {self.name} has the prefix {self.prefix!r}: choose one of A-Z a-z 0-9 . _ ~ -"
            )

    @property
    def api_key(self) -> str:
        """The key for new apps."""
        return self.api_keys[0]

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """The active webhook secrets."""
        source = f"a webhook secret of project {self.name}"
        return tuple(parse_secret(text, source=source) for text in self.webhook_secrets)

    @functools.cached_property
    def key_ids(self) -> tuple[str, ...]:
        """The ids under which the API keys are shown: eight hex digits each."""
        tags = (hmac.digest(key.encode(), b"nextmq api key id", "sha256") for key in self.api_keys)
        return tuple(tag.hex()[:8] for tag in tags)

    def find_key(self, api_key: str) -> str | None:
        """Return the id of `api_key`, or None if it is not one of this project's. The time is constant."""
        sent = api_key.encode("utf-8", "replace")
        # All are compared, so that the time does not tell which one it is.
        same = [secrets.compare_digest(sent, key.encode()) for key in self.api_keys]
        return self.key_ids[same.index(True)] if any(same) else None

    def connection_string(self, base_url: str) -> str:
        """Return the NEXTMQ_URL for apps that reach this server at `base_url` (protocol section 1)."""
        scheme, _, host = base_url.partition("://")
        user = f"{quote(self.api_key, safe='')}:{quote(self.webhook_secrets[0], safe='')}"
        name = quote(self.name, safe="")
        if scheme != "http":
            return f"nextmq://{user}@{host}/{name}"
        option = "" if is_loopback(urlsplit(base_url).hostname or "") else "?insecure=true"
        return f"nextmq+http://{user}@{host}/{name}{option}"


class StoredProject(BaseModel):
    """A project as a file holds it. Its errors quote nothing of the file."""

    model_config = ConfigDict(strict=True, extra="forbid", hide_input_in_errors=True, alias_generator=to_camel)

    name: str = Field(min_length=1)
    api_keys: list[t.Annotated[str, Field(pattern="^[!-~]+$")]] = Field(min_length=1)
    webhook_secrets: list[str] = Field(min_length=1)
    prefix: str
    retired_secrets: list[t.Annotated[str, Field(pattern="^[0-9a-f]{8}$")]] = []

    def project(self) -> Project:
        """Return the project. Raises ConfigurationError for an invalid prefix or secret."""
        project = Project(
            self.name,
            tuple(self.api_keys),
            tuple(self.webhook_secrets),
            self.prefix,
            tuple(self.retired_secrets),
        )
        _ = project.secrets
        return project


def to_stored(project: Project) -> dict[str, t.Any]:
    """Return the project as a file holds it."""
    stored: dict[str, t.Any] = {
        "name": project.name,
        "apiKeys": project.api_keys,
        "webhookSecrets": project.webhook_secrets,
        "prefix": project.prefix,
    }
    if project.retired_secrets:
        stored["retiredSecrets"] = project.retired_secrets
    return stored


def new_project(name: str, *, prefix: str = "bull", random: t.Callable[[int], bytes] = os.urandom) -> Project:
    """Return a project with a new key and secret."""
    return Project(name, (f"nmq_{random(20).hex()}",), (generate_secret(random),), prefix)


def load_or_create_project(path: Path, name: str) -> Project:
    """Return the project in the file `path`. If it does not exist, create it, readable by its owner only.

    Raises ConfigurationError if the file does not hold a project, or cannot be read or created.
    """
    try:
        return _read(path)
    except FileNotFoundError:
        project = new_project(name)
    except OSError as exc:
        raise ConfigurationError(f"{path} cannot be read: {exc.strerror}; is --data-dir right?") from None
    except (ValidationError, ConfigurationError):
        raise ConfigurationError(
            f"{path} does not hold a project: delete the file to get a new key and secret"
        ) from None
    draft = path.with_suffix(f".{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(to_stored(project), file, indent=2)
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)  # the whole file, or that of another server that starts at the same moment
    except OSError as exc:
        raise ConfigurationError(f"{path} cannot be created: {exc.strerror}; is --data-dir right?") from None
    finally:
        with contextlib.suppress(OSError):
            draft.unlink()
    return _read(path)


def _read(path: Path) -> Project:
    return StoredProject.model_validate_json(path.read_bytes()).project()
