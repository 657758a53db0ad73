"""The refusals of the table (protocol section 2) for the setups of these tests, and those that need one."""

from __future__ import annotations

import dataclasses

from nextmq_server.conformance import refusals, refusals_of_bodies

from .support import SENDER, SMALL_SENDER, Case, delivery, refused, wire_of

PATHS = refused(refusals.paths(SENDER))
METHODS = refused(refusals.methods(SENDER))
TYPES = refused(refusals.types(SENDER))
HEADERS = refused(refusals.headers(SENDER))
TIMES = refused(refusals.times(SENDER))
SIZES = refused(refusals.sizes(SMALL_SENDER), "small")
STALLS = [
    dataclasses.replace(case, reason="not whole within body_timeout, 0.1 s")
    for case in refused(refusals.stalls(SENDER), "impatient")
]
SIGNATURES = refused(refusals.signatures(SENDER))
ORDER = refused(refusals.order(SENDER))
JSON_TEXTS = refused(refusals_of_bodies.texts(SENDER))
MEMBERS = refused(refusals_of_bodies.members(SENDER))
QUEUES = refused(refusals_of_bodies.queues(SENDER))
GUARD = [
    Case(
        "guard: one that raises",
        wire_of(delivery(), setup="broken-guard"),
        503,
        "replay_guard_unavailable",
        "the replay guard failed: ConnectionError",
    )
]
