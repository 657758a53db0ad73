"""A case of the receiver's table, and what it needs of a home."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass
from enum import StrEnum

from .requests import Wire


class Trait(StrEnum):
    """What a case needs of a home, beyond a request and an answer."""

    SPACES = "a header value with spaces around it"
    CONTROLS = "control characters in a header"
    REPEATED = "a header that occurs twice"
    REPEATED_TYPE = "a content type that occurs twice"
    LONG_HEADER = "a header of a megabyte"
    LARGE_BODY = "a body over max_body_size"
    NO_LENGTH = "a body without a content-length"
    FALSE_LENGTH = "a content-length that is not the body's"
    NOT_A_LENGTH = "a content-length that is no number"
    STALLING = "a body that stalls"
    LOWER_CASE_METHOD = "a method in lower case"
    OWN_METHOD = "a method of nobody's, answered by the handler itself"
    DOUBLED_SLASH = "a path with a doubled slash"
    NEWLINE = "a path that ends with a newline"
    MOUNT_ITSELF = "the path of the mount itself"
    ENDING_A_THREAD = "a def processor that is answered for before it ends"
    TOGETHER = "requests that are in flight together"


@dataclass(frozen=True)
class Case:
    """A request, and the status and code of its answer; `reason` is what our own handler's log says."""

    name: str
    wire: Wire
    status: int
    code: str | None = None
    reason: str | None = None
    traits: frozenset[Trait] = frozenset()


@dataclass(frozen=True)
class Accepted:
    """A delivery that is run: the probe returns `value`, its data."""

    name: str
    wire: Wire
    value: t.Any
    traits: frozenset[Trait] = frozenset()


@dataclass(frozen=True)
class Broken:
    """A request that servers may refuse or drop, each in its way."""

    name: str
    wire: Wire
    traits: frozenset[Trait] = frozenset()
