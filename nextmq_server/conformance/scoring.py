"""Send the whole table to a handler behind a URL, and keep the score."""

from __future__ import annotations

import secrets
import time
import typing as t
from collections import Counter
from dataclasses import dataclass, field

import httpx

from nextmq_handler.errors import ConfigurationError
from nextmq_handler.protocol.messages import Response
from nextmq_handler.protocol.signing import Secret
from nextmq_handler.protocol.wire import MAX_BODY_SIZE

from .cases import Case, Trait
from .judge import Silence, fault
from .limits import Integration, obstacle
from .remote import parse_address, send
from .requests import Sender, Wire
from .table import GROUPS, Group

SLACK = 30
"""How far, in s, the handler's clock may be from this one, and how long a request may be on its way."""

_MORE_ATTEMPTS = 2
_NO_QUEUE = "--queue with the probe was not given"


@dataclass(frozen=True)
class CheckedHandler:
    """A handler, and what is known of it. `queue` is the probe's, None if it has none.

    `body_timeout` and `timeout` (for each answer) are s; `max_body_size` is bytes.
    """

    url: str
    secret: Secret
    queue: str | None = None
    integration: Integration = Integration.STREAM
    max_body_size: int = MAX_BODY_SIZE
    body_timeout: float = 10.0
    timeout: float = 30.0


@dataclass(frozen=True)
class Hole:
    """A case that the handler does not answer as the protocol says."""

    case: Case
    section: str
    came: Response | Silence
    fault: str


@dataclass
class GroupScore:
    """A handler's score in one group. `unsent` counts the cases that were not sent, by reason."""

    title: str
    passed: int = 0
    holes: list[Hole] = field(default_factory=list[Hole])
    unsent: Counter[str] = field(default_factory=Counter[str])

    @property
    def sent(self) -> int:
        """How many cases were sent."""
        return self.passed + len(self.holes)


async def score(target: CheckedHandler) -> t.AsyncGenerator[GroupScore]:
    """Yield the score of each group when it is known. Raises ConfigurationError if nothing answers at the URL."""
    address = parse_address(target.url)
    answer = await send(address, Wire(method="GET"), timeout=target.timeout)
    if isinstance(answer, Silence):
        raise ConfigurationError(f"nothing answers at {target.url}: {answer.reason}")
    for group in GROUPS:
        yield await _score_group(group, target, address)


async def _score_group(group: Group, target: CheckedHandler, address: httpx.URL) -> GroupScore:
    found = GroupScore(group.title)
    for index, case in enumerate(group.make(_sender(target))):
        reason = obstacle(target.integration, case.traits)
        if group.needs_probe and target.queue is None:
            reason = reason or _NO_QUEUE
        if reason is not None:
            found.unsent[reason] += 1
        elif (hole := await _try(group, index, target, address)) is not None:
            found.holes.append(hole)
        else:
            found.passed += 1
    return found


async def _try(group: Group, index: int, target: CheckedHandler, address: httpx.URL) -> Hole | None:
    # New for each request: its time is now, and a replay guard has not seen its id.
    sender = _sender(target)
    case = group.make(sender)[index]
    is_waited_for = Trait.STALLING in case.traits or case.status is None
    patience = target.timeout + (target.body_timeout if is_waited_for else 0)
    came = await send(address, case.wire, timeout=patience)
    for _ in range(_MORE_ATTEMPTS):
        # A server that refuses a body unread may reset the connection before its answer is read.
        if isinstance(came, Silence) and Trait.LARGE_BODY in case.traits:
            came = await send(address, case.wire, timeout=patience)
    wrong = fault(case, came, sender, now=time.time())
    return None if wrong is None else Hole(case, group.section, came, wrong)


def _sender(target: CheckedHandler) -> Sender:
    return Sender(
        target.secret,
        int(time.time()),
        queue=target.queue or "conformance",
        id="conformance_" + secrets.token_urlsafe(12),
        slack=SLACK,
        max_body_size=target.max_body_size,
    )
