"""The whole table: its groups, in the order in which a receiver checks."""

from __future__ import annotations

import typing as t

from . import accepted, refusals, refusals_of_bodies
from .cases import Case
from .outcomes import rows
from .requests import Sender


class Group(t.NamedTuple):
    """A step of the table. `needs_probe`: its jobs need the probe's queue."""

    title: str
    section: str
    make: t.Callable[[Sender], t.Sequence[Case]]
    needs_probe: bool = False


GROUPS: tuple[Group, ...] = (
    Group("health", "sections 2 and 4: GET/HEAD /health", accepted.health),
    Group("paths", "section 2: nothing else answers", refusals.paths),
    Group("methods", "section 2: method, with allow", refusals.methods),
    Group("content types", "section 2: content-encoding and content type", refusals.types),
    Group("headers", "section 2: each of the three headers exactly once, well formed", refusals.headers),
    Group("timestamps", "section 2: timestamp within tolerance", refusals.times),
    Group("sizes", "section 2: size, before any hashing", refusals.sizes),
    Group("slow bodies", "section 2: the whole body within body_timeout", refusals.stalls),
    Group("signatures", "section 2: any signature equal under an active secret", refusals.signatures),
    Group("JSON", "section 2: strict JSON", refusals_of_bodies.texts),
    Group("members", "section 2: types as above, deliveryId = header", refusals_of_bodies.members),
    Group("queues", "section 2: the body's queue, and a worker for it", refusals_of_bodies.queues),
    Group("order", "section 2: in this order", refusals.order),
    Group("broken bodies", "section 2: no input yields a 5xx", refusals_of_bodies.broken),
    Group("accepted heads", "section 2: a delivery within the rules is run", accepted.heads, needs_probe=True),
    Group("accepted bodies", "section 2: a delivery within the rules is run", accepted.bodies, needs_probe=True),
    Group("the largest body", "section 2: a delivery within the rules is run", accepted.largest, needs_probe=True),
    Group("outcomes", "section 3: outcome", rows, needs_probe=True),
)
