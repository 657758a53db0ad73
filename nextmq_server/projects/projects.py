"""A project: its API keys, its webhook secrets, and the BullMQ prefix that separates its queues from others."""

from __future__ import annotations

import contextlib
import functools
import os
import re
import secrets
import typing as t
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urlsplit

from pydantic import ConfigDict, Discriminator, Field, Tag, TypeAdapter, ValidationError
from pydantic.alias_generators import to_camel

from nextmq_handler.errors import ConfigurationError
from nextmq_handler.protocol.signing import Secret, generate_secret, parse_secret
from nextmq_handler.settings import is_loopback

from .private_file import read_private
from .roles import ApiKey, Role

_PREFIX = re.compile(r"[A-Za-z0-9._~-]{1,100}")

KEY_FORMS = ("a string", "an object")
"""The two forms of an API key in a file, as pydantic names them in the place of an error."""

_KeyOfFile = t.Annotated[
    t.Annotated[str, Field(pattern="^[!-~]+$"), Tag(KEY_FORMS[0])] | t.Annotated[ApiKey, Tag(KEY_FORMS[1])],
    Discriminator(lambda key: KEY_FORMS[isinstance(key, dict | ApiKey)]),
]


@dataclass(frozen=True)
class Project:
    """One project. `prefix` is the BullMQ prefix; BullMQ's clients use `bull` by default.

    Several API keys and several webhook secrets are valid at once, so that each can be rotated (protocol section
    6). The connection string has the first of each. A key that is a string has the role admin. `retired_secrets`
    are ids of webhook secrets that may be removed while they are in use. Raises ConfigurationError for an unusable
    secret, and for a prefix that may contain another one, as `bull` contains `bull:shop`.

    A file holds it as JSON. The limits of the fields apply there, and an error quotes nothing of the file.
    """

    __pydantic_config__ = ConfigDict(
        strict=True, extra="forbid", hide_input_in_errors=True, alias_generator=to_camel
    )

    name: t.Annotated[str, Field(min_length=1)]
    api_keys: t.Annotated[tuple[_KeyOfFile, ...], Field(min_length=1)] = field(repr=False)
    webhook_secrets: t.Annotated[tuple[str, ...], Field(min_length=1)] = field(repr=False)
    prefix: str
    retired_secrets: tuple[t.Annotated[str, Field(pattern="^[0-9a-f]{8}$")], ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        if not _PREFIX.fullmatch(self.prefix):
            raise ConfigurationError(
                f"project {self.name} has the prefix {self.prefix!r}: choose one of A-Z a-z 0-9 . _ ~ -"
            )
        _ = self.secrets

    @property
    def api_key(self) -> str:
        """The key for new apps."""
        return self.keys[0].key

    @functools.cached_property
    def keys(self) -> tuple[ApiKey, ...]:
        """The API keys, each with its role."""
        return tuple(ApiKey(key) if isinstance(key, str) else key for key in self.api_keys)

    @functools.cached_property
    def secrets(self) -> tuple[Secret, ...]:
        """The active webhook secrets."""
        source = f"a webhook secret of project {self.name}"
        return tuple(parse_secret(text, source=source) for text in self.webhook_secrets)

    @functools.cached_property
    def key_ids(self) -> tuple[str, ...]:
        """The ids under which the API keys are shown: eight hex digits each."""
        return tuple(key.id for key in self.keys)

    def find_key(self, api_key: str) -> ApiKey | None:
        """Return the key with this text, or None if it is not one of this project's. The time is constant."""
        sent = api_key.encode("utf-8", "replace")
        # All are compared, so that the time does not tell which one it is.
        same = [secrets.compare_digest(sent, one.key.encode()) for one in self.keys]
        return self.keys[same.index(True)] if any(same) else None

    def connection_string(self, base_url: str, key: ApiKey | None = None) -> str:
        """Return the NEXTMQ_URL for apps that reach this server at `base_url` (protocol section 1).

        With `key` it has that API key, and a webhook secret only if an app may have the key.
        """
        scheme, _, host = base_url.partition("://")
        user = quote(self.api_key if key is None else key.key, safe="")
        if key is None or key.role in (Role.APP, Role.ADMIN):
            user += f":{quote(self.webhook_secrets[0], safe='')}"
        name = quote(self.name, safe="")
        if scheme != "http":
            return f"nextmq://{user}@{host}/{name}"
        option = "" if is_loopback(urlsplit(base_url).hostname or "") else "?insecure=true"
        return f"nextmq+http://{user}@{host}/{name}{option}"


_file = TypeAdapter(Project)


def new_project(name: str, *, prefix: str = "bull") -> Project:
    """Return a project with a new key and secret."""
    return Project(name, (new_api_key(),), (generate_secret(),), prefix)


def new_api_key() -> str:
    """Return a new API key."""
    return f"nmq_{secrets.token_hex(20)}"


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
    except ValidationError:
        raise ConfigurationError(
            f"{path} does not hold a project: delete the file to get a new key and secret"
        ) from None
    draft = path.with_suffix(f".{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(_file.dump_json(project, indent=2, by_alias=True, exclude_defaults=True))
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)  # the whole file, or that of another server that starts at the same moment
    except OSError as exc:
        raise ConfigurationError(f"{path} cannot be created: {exc.strerror}; is --data-dir right?") from None
    finally:
        with contextlib.suppress(OSError):
            draft.unlink()
    return _read(path)


def _read(path: Path) -> Project:
    return _file.validate_json(read_private(path))
