"""The cases of the receiver's table, and what they need of an integration."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field
from enum import StrEnum

from .requests import Wire


class Trait(StrEnum):
    """What a case needs of an integration, beyond a request and an answer."""

    SPACES = "a header value with spaces around it"
    CONTROLS = "control characters in a header"
    REPEATED = "a header that occurs twice"
    REPEATED_TYPE = "a content type that occurs twice"
    LONG_HEADER = "a header of a megabyte"
    LARGE_BODY = "a body over max_body_size"
    NO_LENGTH = "a body without a content-length"
    FALSE_LENGTH = "a content-length that is not the body's"
    NOT_A_LENGTH = "a content-length that is not a number"
    STALLING = "a body that stalls"
    LOWER_CASE_METHOD = "a method in lower case"
    OWN_METHOD = "an unknown method, answered by the handler itself"
    DOUBLED_SLASH = "a path with a doubled slash"
    NEWLINE = "a path that ends with a newline"
    MOUNT_ITSELF = "the path of the mount itself"
    ENDING_A_THREAD = "a def processor whose delivery is answered before it ends"
    TOGETHER = "requests that are in flight together"


@dataclass(frozen=True)
class StatusCase:
    """A request, and the status and code of its answer. `reason` is what this library's handler logs."""

    name: str
    wire: Wire
    status: int
    code: str | None = None
    reason: str | None = None
    traits: frozenset[Trait] = frozenset()


@dataclass(frozen=True)
class AcceptedCase:
    """A delivery that the handler must run: the probe returns `value`, its data."""

    name: str
    wire: Wire
    value: t.Any
    traits: frozenset[Trait] = frozenset()


@dataclass(frozen=True)
class BrokenCase:
    """A request that a server may refuse or drop as it likes."""

    name: str
    wire: Wire
    traits: frozenset[Trait] = frozenset()


@dataclass(frozen=True)
class OutcomeCase:
    """A job and its outcome. Of `error`, the given members count."""

    name: str
    wire: Wire
    outcome: dict[str, t.Any]
    error: dict[str, str] = field(default_factory=dict[str, str])
    traits: frozenset[Trait] = frozenset()


AnyCase = StatusCase | AcceptedCase | BrokenCase | OutcomeCase
