"""The published request vectors, sent to every home whose handler stands at their time and has their secrets."""

from __future__ import annotations

import base64
import dataclasses
import typing as t

from .home import Home
from .limits import Trait
from .setups import NOW, VECTORS, vector_setup
from .support import JSON, Wire, length_of, over_homes


@dataclasses.dataclass(frozen=True)
class Vector:
    """A vector as a case."""

    name: str
    wire: Wire
    status: int
    traits: frozenset[Trait]


def _case(vector: dict[str, t.Any]) -> Vector:
    body = base64.b64decode(vector["body_base64"])
    headers = [(name.encode(), value.encode()) for name, value in vector["headers"]]
    names = [name for name, _ in headers]
    traits = {Trait.REPEATED} if len(set(names)) < len(names) else set()
    if any(value != value.strip() for _, value in headers):
        traits.add(Trait.SPACES)
    return Vector(
        vector["name"],
        Wire([JSON, length_of(body), *headers], body, route="/queues/emails", setup=vector_setup(vector)),
        vector.get("handler_status", 200 if vector["ok"] else 401),
        frozenset(traits),
    )


def test_the_vectors_are_for_the_time_at_which_the_handlers_clocks_stand() -> None:
    assert {vector["now"] for vector in VECTORS} == {NOW}


@over_homes([_case(vector) for vector in VECTORS])
def test_a_published_vector_gets_its_status(home: Home, case: Vector) -> None:
    assert case.wire.send(home).status == case.status
