"""The refusals of the table (protocol section 2) for the setups of these tests, and those that need one."""

from __future__ import annotations

import dataclasses

from nextmq_server.conformance import refusals, refusals_of_bodies

from .support import SENDER, SMALL_SENDER, Case, delivery, for_setup, wire_of

PATHS = for_setup(refusals.paths(SENDER))
METHODS = for_setup(refusals.methods(SENDER))
TYPES = for_setup(refusals.types(SENDER))
HEADERS = for_setup(refusals.headers(SENDER))
TIMES = for_setup(refusals.times(SENDER))
SIZES = for_setup(refusals.sizes(SMALL_SENDER), "small")
STALLS = [
    dataclasses.replace(case, reason="not whole within body_timeout, 0.1 s")
    for case in for_setup(refusals.stalls(SENDER), "impatient")
]
SIGNATURES = for_setup(refusals.signatures(SENDER))
ORDER = for_setup(refusals.order(SENDER))
JSON_TEXTS = for_setup(refusals_of_bodies.texts(SENDER))
MEMBERS = for_setup(refusals_of_bodies.members(SENDER))
QUEUES = for_setup(refusals_of_bodies.queues(SENDER))
GUARD = [
    Case(
        "guard: one that raises",
        wire_of(delivery(), setup="broken-guard"),
        503,
        "replay_guard_unavailable",
        "the replay guard failed: ConnectionError",
    )
]
