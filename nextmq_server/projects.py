"""A project: its API key, its webhook secrets, and the BullMQ prefix that sets its queues apart."""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import typing as t
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from nextmq_handler.errors import ConfigurationError
from nextmq_handler.signing import Secret, generate_secret, parse_secret

_PREFIX = re.compile(r"[A-Za-z0-9._~-]{1,100}")


@dataclass(frozen=True)
class Project:
    """One project. `prefix` is BullMQ's: `bull` is what its clients use by default.

    Raises ConfigurationError for a prefix that could hold another project's, as `bull` would hold `bull:shop`.
    """

    name: str
    api_key: str = field(repr=False)
    webhook_secrets: tuple[str, ...] = field(repr=False)
    prefix: str = "bull"

    def __post_init__(self) -> None:
        if not _PREFIX.fullmatch(self.prefix):
            raise ConfigurationError(
                f"project {self.name} has the prefix {self.prefix!r}: choose one of A-Z a-z 0-9 . _ ~ -"
            )

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """The active webhook secrets."""
        source = f"a webhook secret of project {self.name}"
        return tuple(parse_secret(text, source=source) for text in self.webhook_secrets)

    def has_key(self, api_key: str) -> bool:
        """Whether `api_key` is this project's, compared in constant time."""
        return secrets.compare_digest(api_key.encode("utf-8", "replace"), self.api_key.encode())

    def connection_string(self, base_url: str) -> str:
        """NEXTMQ_URL for apps that reach this server at `base_url` (protocol section 1)."""
        scheme, _, host = base_url.partition("://")
        user = f"{quote(self.api_key, safe='')}:{quote(self.webhook_secrets[0], safe='')}"
        name = quote(self.name, safe="")
        return f"{'nextmq+http' if scheme == 'http' else 'nextmq'}://{user}@{host}/{name}"


def new_project(name: str, *, random: t.Callable[[int], bytes] = os.urandom) -> Project:
    """A project with a new key and secret."""
    return Project(name, f"nmq_{random(20).hex()}", (generate_secret(random),))


def load_or_create_project(path: Path, name: str) -> Project:
    """The project kept in the file `path`, made there, readable by its owner only, where there is none.

    Raises ConfigurationError for a file that is not a project's, or that cannot be read or made.
    """
    try:
        return _parse(path.read_text())
    except FileNotFoundError:
        project = new_project(name)
    except OSError as exc:
        raise ConfigurationError(f"{path} cannot be read: {exc.strerror}; is --data-dir right?") from None
    except (ValueError, KeyError, TypeError, ConfigurationError):
        raise ConfigurationError(
            f"{path} cannot be read as a project: delete it, and a new key and secret are made"
        ) from None
    content = {
        "name": project.name,
        "apiKey": project.api_key,
        "webhookSecrets": project.webhook_secrets,
        "prefix": project.prefix,
    }
    draft = path.with_suffix(f".{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(content, file, indent=2)
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)  # whole, or another server's that starts at the same moment
    except OSError as exc:
        raise ConfigurationError(f"{path} cannot be made: {exc.strerror}; is --data-dir right?") from None
    finally:
        with contextlib.suppress(OSError):
            draft.unlink()
    return _parse(path.read_text())


def _parse(text: str) -> Project:
    raw = json.loads(text)
    name, api_key, webhook_secrets, prefix = (raw[key] for key in ("name", "apiKey", "webhookSecrets", "prefix"))
    if not all(isinstance(part, str) and part for part in (name, api_key, prefix, *webhook_secrets)):
        raise TypeError("a part is no text")
    project = Project(name, api_key, tuple(webhook_secrets), prefix)
    if not project.secrets:  # each was checked on the way
        raise TypeError("webhookSecrets is empty")
    return project
