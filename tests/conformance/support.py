"""What the cases are made of, and how they are spread over the homes."""

from __future__ import annotations

import dataclasses
import json
import typing as t
from collections.abc import Sequence

import pytest

from nextmq_handler.messages import Headers
from nextmq_handler.signing import parse_secret, signature_headers, verify_outcome
from tests.handler.support import delivery as delivery_to_emails

from .home import Answer, HeaderList, Home
from .limits import HOMES, Trait, can_send
from .setups import NOW, SECRET, mount_of

JSON = (b"content-type", b"application/json")
QUEUES = {"blocking": "def", "awaited": "async def"}
"""The two workers, and the colour of their processors."""


@dataclasses.dataclass(frozen=True)
class Wire:
    """One request: `route` is below the mount of `setup`, percent-encoded."""

    headers: HeaderList = dataclasses.field(default_factory=list)
    body: bytes = b""
    method: str = "POST"
    route: str = "/queues/blocking"
    setup: str = "plain"
    stalls: bool = False

    def send(self, home: Home) -> Answer:
        """The answer of a home."""
        target = mount_of(self.setup) + self.route
        if self.stalls:
            return home.send(self.method, target, self.headers, self.body, stalls=True)
        return home.send(self.method, target, self.headers, self.body)


@dataclasses.dataclass(frozen=True)
class Case:
    """A request, and the status and code of its refusal; `reason` is what the log says of it."""

    name: str
    wire: Wire
    status: int
    code: str | None = None
    reason: str | None = None
    traits: frozenset[Trait] = frozenset()


class _Named(t.Protocol):
    @property
    def name(self) -> str: ...
    @property
    def traits(self) -> frozenset[Trait]: ...


def over_homes(cases: Sequence[_Named], homes: Sequence[str] = HOMES) -> pytest.MarkDecorator:
    """Each case in each home that it can be sent in: parameters `home`, or `place` for some only, and `case`."""
    names = [case.name for case in cases]
    assert len(set(names)) == len(names), "two cases of one name"
    pairs = [(home, case) for home in homes for case in cases if can_send(home, case.traits)]
    fixture = "home" if homes is HOMES else "place"
    return pytest.mark.parametrize(
        (fixture, "case"),
        [pytest.param(home, case, id=f"{home}-{case.name}") for home, case in pairs],
        indirect=[fixture],
    )


def every_home(*traits: Trait, homes: Sequence[str] = HOMES) -> pytest.MarkDecorator:
    """The test in each home that can be sent what it needs: parameter `home`, or `place` for some only."""
    fixture = "home" if homes is HOMES else "place"
    able = [home for home in homes if can_send(home, frozenset(traits))]
    return pytest.mark.parametrize(fixture, able, indirect=True)


def delivery(**changes: t.Any) -> dict[str, t.Any]:
    """A delivery for the job `echo` of queue `blocking`, right in all points but `changes`."""
    job = {"name": "echo", **changes.pop("job", {})}
    return delivery_to_emails(**{"queue": "blocking", "job": job, **changes})


def encode(content: object) -> bytes:
    return json.dumps(content).encode()


def seal(body: bytes, *, id: str = "dlv_1", at: int = NOW, secrets: Sequence[str] = (SECRET,)) -> HeaderList:
    """The three signature headers over `body`."""
    return signature_headers([parse_secret(secret) for secret in secrets], id, at, body)


def length_of(body: bytes) -> tuple[bytes, bytes]:
    return (b"content-length", b"%d" % len(body))


def signed(body: bytes, *, id: str = "dlv_1", at: int = NOW, secrets: Sequence[str] = (SECRET,)) -> HeaderList:
    """All headers of a delivery with `body`."""
    return [JSON, length_of(body), *seal(body, id=id, at=at, secrets=secrets)]


def wire_of(content: dict[str, t.Any], *, setup: str = "plain", secrets: Sequence[str] = (SECRET,)) -> Wire:
    """The signed request of a delivery."""
    body = encode(content)
    head = signed(body, id=content["deliveryId"], secrets=secrets)
    return Wire(head, body, route=f"/queues/{content['queue']}", setup=setup)


GOOD = encode(delivery())


def with_header(name: bytes, *values: bytes) -> HeaderList:
    """The headers of GOOD, those called `name` exchanged for `values`."""
    return [(key, value) for key, value in signed(GOOD) if key != name] + [(name, value) for value in values]


def outcome_in(answer: Answer, *, id: str = "dlv_1", secrets: Sequence[str] = (SECRET,)) -> t.Any:
    """The outcome that an answer is, once every rule of section 3 about its envelope holds."""
    assert answer.status == 200, answer
    assert answer.all(b"content-type") == [b"application/json"]
    assert answer.all(b"content-encoding") == []
    verify_outcome(
        Headers(answer.headers),
        answer.body,
        [parse_secret(secret) for secret in secrets],
        delivery_id=id,
        now=NOW,
        tolerance=0,
    )
    return answer.json


def deliver(home: Home, content: dict[str, t.Any], *, setup: str = "plain") -> t.Any:
    """The outcome that a home answers a delivery with."""
    return outcome_in(wire_of(content, setup=setup).send(home), id=content["deliveryId"])
