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
    DECLARED_ALONE = "a content-length over max_body_size, and no body"
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
class Case:
    """A request, and what the protocol asks for: a status with a code, or an outcome.

    `status` is None if a server may refuse or drop the request as it likes. `reason` is what this library's
    handler logs. Of `error`, the given members count. `traits` are what the case needs of an integration.
    """

    name: str
    wire: Wire
    status: int | None = 200
    code: str | None = None
    reason: str | None = None
    traits: t.Collection[Trait] = ()
    outcome: t.Mapping[str, t.Any] | None = None
    error: t.Mapping[str, str] = field(default_factory=dict[str, str])


def completed(name: str, wire: Wire, value: t.Any, *traits: Trait) -> Case:
    """Return the case of a delivery that the handler must run: the processor returns `value`."""
    return Case(name, wire, traits=traits, outcome={"outcome": "completed", "returnValue": value})


def refused(kind: str, status: int, code: str, reason: str | None, name: str, wire: Wire, *traits: Trait) -> Case:
    """Return the case of a request that the handler must refuse."""
    return Case(f"{kind}: {name}", wire, status, code, reason, traits)
