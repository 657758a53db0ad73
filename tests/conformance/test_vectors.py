"""The published request vectors, sent to every integration. Its handler has their time and secrets."""

from __future__ import annotations

import dataclasses

from nextmq_handler.testing import vectors
from nextmq_server.conformance.cases import Trait

from .integrations.integration import Integration
from .setups import NOW, vector_setup
from .support import JSON, Wire, length_of, over_integrations


@dataclasses.dataclass(frozen=True)
class Vector:
    """A vector as a case."""

    name: str
    wire: Wire
    status: int
    traits: frozenset[Trait]


def _case(vector: vectors.Vector) -> Vector:
    names = [name for name, _ in vector.headers]
    traits = {Trait.REPEATED} if len(set(names)) < len(names) else set()
    if any(value != value.strip() for _, value in vector.headers):
        traits.add(Trait.SPACES)
    head = [JSON, length_of(vector.body), *vector.headers]
    wire = Wire(head, vector.body, route="/queues/emails", setup=vector_setup(vector))
    return Vector(vector.name, wire, vector.status, frozenset(traits))


def test_the_vectors_are_for_the_time_at_which_the_handlers_clocks_stand() -> None:
    assert {vector.now for vector in vectors.REQUESTS} == {NOW}


@over_integrations([_case(vector) for vector in vectors.REQUESTS])
def test_a_published_vector_gets_its_status(integration: Integration, case: Vector) -> None:
    assert case.wire.send(integration).status == case.status
