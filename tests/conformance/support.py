"""What the cases are made of, and how they are spread over the integrations."""

from __future__ import annotations

import dataclasses
import json
import typing as t
from collections.abc import Iterable, Sequence

import pytest

from nextmq_handler.protocol.messages import Headers
from nextmq_handler.protocol.signing import parse_secret, signature_headers, verify_outcome
from nextmq_server.conformance import cases, requests
from nextmq_server.conformance.cases import Trait

from .integrations.integration import Answer, HeaderList, Integration
from .limits import INTEGRATIONS, can_send
from .setups import NOW, SECRET, SMALL, mount_of

JSON = (b"content-type", b"application/json")
QUEUES = {"blocking": "def", "awaited": "async def"}
"""The two workers, and what their processors are."""

SENDER = requests.Sender(parse_secret(SECRET), NOW, queue="blocking")
SMALL_SENDER = dataclasses.replace(SENDER, max_body_size=SMALL)
"""For the setup called small."""


@dataclasses.dataclass(frozen=True)
class Wire(requests.Wire):
    """One request: `route` is below the mount of `setup`, percent-encoded."""

    route: str = "/queues/blocking"
    setup: str = "plain"

    def send(self, integration: Integration) -> Answer:
        """Send the request to an integration."""
        target = mount_of(self.setup) + self.route
        if self.stalls:
            return integration.send(self.method, target, self.headers, self.body, stalls=True)
        return integration.send(self.method, target, self.headers, self.body)


@dataclasses.dataclass(frozen=True)
class Case(cases.Case):
    """A case of the table, for a setup."""

    wire: Wire


def for_setup(table: Iterable[cases.Case], setup: str = "plain") -> list[Case]:
    """Return these cases of the table for a setup."""
    return [Case(**{**vars(case), "wire": _wire(case.wire, setup)}) for case in table]


def _wire(wire: requests.Wire, setup: str) -> Wire:
    return Wire(wire.headers, wire.body, wire.method, wire.route, wire.stalls, setup=setup)


class _Named(t.Protocol):
    @property
    def name(self) -> str: ...
    @property
    def traits(self) -> t.Collection[Trait]: ...


def over_integrations(cases: Sequence[_Named], integrations: Sequence[str] = INTEGRATIONS) -> pytest.MarkDecorator:
    """Run each case in each integration that can get it. Parameters: `integration` (or `place`) and `case`."""
    names = [case.name for case in cases]
    assert len(set(names)) == len(names), "two cases of one name"
    pairs = [
        (integration, case) for integration in integrations for case in cases if can_send(integration, case.traits)
    ]
    fixture = "integration" if integrations is INTEGRATIONS else "place"
    return pytest.mark.parametrize(
        (fixture, "case"),
        [pytest.param(integration, case, id=f"{integration}-{case.name}") for integration, case in pairs],
        indirect=[fixture],
    )


def every_integration(*traits: Trait, integrations: Sequence[str] = INTEGRATIONS) -> pytest.MarkDecorator:
    """Run the test in each integration that can get such requests. Parameter: `integration` (or `place`)."""
    fixture = "integration" if integrations is INTEGRATIONS else "place"
    able = [integration for integration in integrations if can_send(integration, traits)]
    return pytest.mark.parametrize(fixture, able, indirect=True)


def delivery(**changes: t.Any) -> dict[str, t.Any]:
    """Return a delivery for the job `echo` of queue `blocking`, valid except for `changes`."""
    return SENDER.delivery(**changes)


def encode(content: object) -> bytes:
    return json.dumps(content).encode()


def seal(body: bytes, *, id: str = "dlv_1", at: int = NOW, secrets: Sequence[str] = (SECRET,)) -> HeaderList:
    """Return the three signature headers over `body`."""
    return signature_headers([parse_secret(secret) for secret in secrets], id, at, body)


def length_of(body: bytes) -> tuple[bytes, bytes]:
    return (b"content-length", b"%d" % len(body))


def signed(body: bytes, *, id: str = "dlv_1", at: int = NOW, secrets: Sequence[str] = (SECRET,)) -> HeaderList:
    """All headers of a delivery with `body`."""
    return [JSON, length_of(body), *seal(body, id=id, at=at, secrets=secrets)]


def wire_of(content: dict[str, t.Any], *, setup: str = "plain", secrets: Sequence[str] = (SECRET,)) -> Wire:
    """Return the signed request of a delivery."""
    body = encode(content)
    head = signed(body, id=content["deliveryId"], secrets=secrets)
    return Wire(head, body, route=f"/queues/{content['queue']}", setup=setup)


GOOD = SENDER.good


def outcome_in(answer: Answer, *, id: str = "dlv_1", secrets: Sequence[str] = (SECRET,)) -> t.Any:
    """Check an answer's envelope by section 3, and return its outcome."""
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
    content = answer.json
    content.pop("worker", None)  # a delivery of these tests names no version of the app
    return content


def deliver(integration: Integration, content: dict[str, t.Any], *, setup: str = "plain") -> t.Any:
    """Deliver to an integration, and return the outcome."""
    return outcome_in(wire_of(content, setup=setup).send(integration), id=content["deliveryId"])
