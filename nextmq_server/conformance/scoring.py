"""Sends the whole table to a handler behind a URL, and keeps the score."""

from __future__ import annotations

import secrets
import time
import typing as t
from dataclasses import dataclass, field

from nextmq_handler.errors import ConfigurationError
from nextmq_handler.protocol.signing import Secret
from nextmq_handler.protocol.wire import MAX_BODY_SIZE

from .cases import Broken, Trait
from .judge import Answer, Silence, expected, fault
from .limits import Home, obstacle
from .remote import Endpoint, send
from .requests import Sender, Wire
from .table import GROUPS, AnyCase, Group

SLACK = 30
"""How far, in s, the receiver's clock may be from ours, and how long a request may be on its way."""

_MORE_ATTEMPTS = 2
_NO_QUEUE = "no --queue with the probe was named"


@dataclass(frozen=True)
class Target:
    """A handler, and what is known of it. `queue` is the probe's, None where there is none.

    `body_timeout` and `timeout`, for each answer, are s; `max_body_size` is bytes.
    """

    url: str
    secret: Secret
    queue: str | None = None
    home: Home = Home.STREAM
    max_body_size: int = MAX_BODY_SIZE
    body_timeout: float = 10.0
    timeout: float = 30.0


@dataclass(frozen=True)
class Hole:
    """A case that a handler does not answer as the protocol says."""

    case: str
    section: str
    sent: Wire
    expected: str
    came: Answer | Silence
    fault: str


@dataclass
class GroupScore:
    """How a handler does in one group: `unsent` has why cases were not sent, and how many for each reason."""

    title: str
    passed: int = 0
    holes: list[Hole] = field(default_factory=list[Hole])
    unsent: dict[str, int] = field(default_factory=dict[str, int])

    @property
    def sent(self) -> int:
        """How many cases were sent."""
        return self.passed + len(self.holes)


async def score(target: Target) -> t.AsyncGenerator[GroupScore]:
    """The score of each group, as it comes. Raises ConfigurationError for a URL that nothing answers at."""
    endpoint = Endpoint.of(target.url)
    answer = await send(endpoint, Wire(method="GET"), timeout=target.timeout)
    if isinstance(answer, Silence):
        raise ConfigurationError(f"nothing answers at {target.url}: {answer.reason}")
    for group in GROUPS:
        yield await _score_group(group, target, endpoint)


async def _score_group(group: Group, target: Target, endpoint: Endpoint) -> GroupScore:
    found = GroupScore(group.title)
    for index, case in enumerate(group.make(_sender(target))):
        reason = obstacle(target.home, case.traits)
        if group.needs_probe and target.queue is None:
            reason = reason or _NO_QUEUE
        if reason is not None:
            found.unsent[reason] = found.unsent.get(reason, 0) + 1
            continue
        hole = await _try(group, index, target, endpoint)
        if hole is None:
            found.passed += 1
        else:
            found.holes.append(hole)
    return found


async def _try(group: Group, index: int, target: Target, endpoint: Endpoint) -> Hole | None:
    # Made anew for each request: its time is now, and a replay guard has not seen its id.
    sender = _sender(target)
    case = group.make(sender)[index]
    came = await send(endpoint, case.wire, timeout=_patience(case, target))
    for _ in range(_MORE_ATTEMPTS):
        # A server that refuses a body unread may reset the connection before its answer was read.
        if isinstance(came, Silence) and Trait.LARGE_BODY in case.traits:
            came = await send(endpoint, case.wire, timeout=_patience(case, target))
    wrong = fault(case, came, sender, now=time.time())
    return None if wrong is None else Hole(case.name, group.section, case.wire, expected(case), came, wrong)


def _patience(case: AnyCase, target: Target) -> float:
    is_waited_for = Trait.STALLING in case.traits or isinstance(case, Broken)
    return target.timeout + (target.body_timeout if is_waited_for else 0)


def _sender(target: Target) -> Sender:
    return Sender(
        target.secret,
        int(time.time()),
        queue=target.queue or "conformance",
        id="conformance_" + secrets.token_urlsafe(12),
        slack=SLACK,
        max_body_size=target.max_body_size,
    )


def total(scores: t.Sequence[GroupScore]) -> tuple[int, int]:
    """How many cases passed, of how many that were sent."""
    return sum(score.passed for score in scores), sum(score.sent for score in scores)
