"""Rotation: several secrets, in any order, on either side; one secret signs the outcome, the one that verified."""

from __future__ import annotations

import dataclasses

from nextmq_handler.protocol.signing import parse_secret
from nextmq_server.conformance.cases import Trait

from .integrations.integration import Integration
from .setups import SECOND_SECRET, SECRET, THIRD_SECRET, UNKNOWN_SECRET
from .support import delivery, every_integration, outcome_in, over_integrations, wire_of

A, B, C, X = SECRET, SECOND_SECRET, THIRD_SECRET, UNKNOWN_SECRET


@dataclasses.dataclass(frozen=True)
class Rotation:
    """A request signed with `signed_with`; the handler's secrets are those of `setup`."""

    setup: str
    signed_with: tuple[str, ...]
    answered_with: str
    traits: frozenset[Trait] = frozenset()

    @property
    def name(self) -> str:
        letters = {A: "A", B: "B", C: "C", X: "X"}
        return f"{self.setup}, signed by {' '.join(letters[secret] for secret in self.signed_with)}"


ROTATIONS = [
    Rotation("plain", (A,), A),
    Rotation("plain", (A, B), A),
    Rotation("plain", (B, A), A),
    Rotation("plain", (X, B, C, A), A),
    Rotation("b", (A, B), B),
    Rotation("words", (A,), A),
    Rotation("words", (B,), B),
    *(Rotation(setup, (secret,), secret) for setup in ("a-b-c", "c-b-a") for secret in (A, B, C)),
    *(Rotation(setup, (X, secret), secret) for setup in ("a-b-c", "c-b-a") for secret in (A, B, C)),
    *(Rotation(setup, (secret, X), secret) for setup in ("a-b-c", "c-b-a") for secret in (A, B, C)),
]


@over_integrations(ROTATIONS)
def test_the_outcome_is_signed_with_the_secret_that_verified_the_request(
    integration: Integration, case: Rotation
) -> None:
    answer = wire_of(delivery(), setup=case.setup, secrets=case.signed_with).send(integration)
    assert outcome_in(answer, secrets=[case.answered_with])["outcome"] == "completed"


@every_integration()
def test_an_outcome_bears_one_signature_however_many_the_request_had(integration: Integration) -> None:
    answer = wire_of(delivery(), setup="a-b-c", secrets=[C, B, A]).send(integration)
    [tokens] = answer.all(b"x-nextmq-signature")
    assert tokens.count(b"v1,") == 1


@every_integration()
def test_a_secret_that_was_retired_opens_nothing(integration: Integration) -> None:
    assert wire_of(delivery(), setup="b", secrets=[A]).send(integration).status == 401


def test_the_secrets_of_these_tests_are_four() -> None:
    assert len({parse_secret(secret).id for secret in (A, B, C, X)}) == 4
