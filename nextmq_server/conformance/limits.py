"""Which cases cannot be sent to which integration, and why: they do not apply there (protocol section 2)."""

from __future__ import annotations

import typing as t
from enum import StrEnum

from .cases import Trait


class Integration(StrEnum):
    """What is behind a URL, as far as it decides which requests reach the handler."""

    STREAM = "stream"
    WSGI = "wsgi"
    LAMBDA = "lambda"
    ALB = "alb"


_EVENT = "an event holds a whole body"
_OWN_THREAD = "a processor may run in the request's own thread, which nothing can end"

ON_THE_WAY: dict[Trait, str] = {
    Trait.SPACES: "HTTP servers strip the spaces around a value",
    Trait.CONTROLS: "HTTP servers refuse control characters themselves",
    Trait.LONG_HEADER: "HTTP servers refuse a head of that size themselves",
    Trait.FALSE_LENGTH: "HTTP servers cut the body to its declared length, or wait for the rest",
    Trait.NOT_A_LENGTH: "HTTP servers refuse such a length themselves",
    Trait.LOWER_CASE_METHOD: "HTTP servers refuse such a method, or put it in upper case",
    Trait.OWN_METHOD: "routers answer such a method themselves",
    Trait.DOUBLED_SLASH: "routers redirect, or treat doubled slashes as single ones",
    Trait.NEWLINE: "routers do not match such a path",
    Trait.MOUNT_ITSELF: "routers answer the mount's own path themselves",
}
"""What something in front of the handler answers or changes, in every integration: it is not sent."""

_OF_EVENTS = {
    Trait.NO_LENGTH: _EVENT,
    Trait.STALLING: _EVENT,
    Trait.LARGE_BODY: "the platform refuses such a body itself",
    Trait.ENDING_A_THREAD: _OWN_THREAD,
}

CANNOT: dict[Integration, dict[Trait, str]] = {
    Integration.STREAM: {},
    Integration.WSGI: {
        Trait.REPEATED_TYPE: "CGI's CONTENT_TYPE holds one value, the last",
        Trait.NO_LENGTH: "some frameworks treat a body without a length as empty",
        Trait.STALLING: "the server's own read blocks, and its own timeout ends it",
        Trait.ENDING_A_THREAD: _OWN_THREAD,
    },
    Integration.LAMBDA: _OF_EVENTS,
    Integration.ALB: {
        **_OF_EVENTS,
        Trait.REPEATED: "a load balancer with single values keeps the last of repeated headers",
        Trait.REPEATED_TYPE: "a load balancer with single values keeps the last of repeated headers",
    },
}
"""What does not reach the handler in an integration of this kind."""


def obstacle(integration: Integration, traits: t.Collection[Trait]) -> str | None:
    """Return why a case with these traits does not apply, None if it does."""
    reasons = {**ON_THE_WAY, **CANNOT[integration]}
    return next((reasons[trait] for trait in Trait if trait in traits and trait in reasons), None)
