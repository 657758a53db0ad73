"""API keys with roles: who may do what with a project."""

from __future__ import annotations

import enum
import functools
import hmac
import typing as t
from dataclasses import dataclass, field

from pydantic import ConfigDict, Field
from pydantic.alias_generators import to_camel

MAX_KEY_NAME = 100
"""The longest name of an API key, in characters."""


class Role(enum.StrEnum):
    """What the caller with an API key may do.

    `app`: add jobs, wait for them, register, and what a processor calls. `viewer`: read. `operator`: also change
    jobs. `admin`: everything.
    """

    APP = "app"
    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"

    def includes(self, least: Role) -> bool:
        """Return whether this role may do what `least`, another one than `app`, may do."""
        return self in _LADDER[_LADDER.index(least) :]


_LADDER = (Role.VIEWER, Role.OPERATOR, Role.ADMIN)


@dataclass(frozen=True)
class ApiKey:
    """An API key with its role. `name` says whose it is: the audit log shows it. A file holds it as an object."""

    __pydantic_config__ = ConfigDict(
        strict=True, extra="forbid", hide_input_in_errors=True, alias_generator=to_camel
    )

    key: t.Annotated[str, Field(pattern="^[!-~]+$")] = field(repr=False)
    role: Role = Role.ADMIN
    name: t.Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]+$", max_length=MAX_KEY_NAME)] | None = None

    @functools.cached_property
    def id(self) -> str:
        """The id under which the key is shown: eight hex digits."""
        return hmac.digest(self.key.encode(), b"nextmq api key id", "sha256").hex()[:8]
