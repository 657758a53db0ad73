"""The rows of protocol section 3, for the probe: a queue whose processor does what the job's name says.

    echo            returns the job's data
    fail            fails with the data, a text, for its message
    unrecoverable   the same, unrecoverably
    rate-limit      asks for a rate limit of the data, ms
    delay           asks to be delayed until the data, ms since the epoch
    wait            waits for the job's children
    sleep           sleeps for the data, ms, and returns it

Jobs of other names have no entry.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from .cases import Trait
from .requests import Sender, Wire, encode


@dataclass(frozen=True)
class Row:
    """A job, and the outcome of it: of `error` the members that are given count."""

    name: str
    wire: Wire
    outcome: dict[str, t.Any]
    error: dict[str, str] = field(default_factory=dict[str, str])
    traits: frozenset[Trait] = frozenset()


def rows(sender: Sender) -> list[Row]:
    """Each outcome."""

    def row(
        name: str,
        job: str,
        data: t.Any,
        outcome: dict[str, t.Any],
        error: dict[str, str] | None = None,
        *traits: Trait,
        **changes: t.Any,
    ) -> Row:
        body = encode(sender.delivery(job={"name": job, "data": data}, **changes))
        return Row(name, sender.post(body), outcome, error or {}, frozenset(traits))

    failed: dict[str, t.Any] = {"outcome": "failed"}
    unrecoverable = {**failed, "unrecoverable": True}
    data = {"a": [1, None, 0.5], "ä": "☃"}
    later = (sender.now + 3600) * 1000
    much = {"name": "ReturnValueError"}
    return [
        row("returns its data", "echo", data, {"outcome": "completed", "returnValue": data}),
        row("returns null", "echo", None, {"outcome": "completed", "returnValue": None}),
        row("raises", "fail", "no such address: ä☃😀", failed, {"message": "no such address: ä☃😀"}),
        row("raises a long text", "fail", "ä" * 10_000, failed),
        row("has no entry for the job's name", "nobody's", None, failed, {"name": "UnknownJobName"}),
        row("raises UnrecoverableJobError", "unrecoverable", "no", unrecoverable, {"message": "no"}),
        row("raises RateLimitError", "rate-limit", 5000, {"outcome": "rateLimited", "delay": 5000}),
        row("rate-limits for a day", "rate-limit", 86_400_000, {"outcome": "rateLimited", "delay": 86_400_000}),
        row("calls move_to_delayed", "delay", later, {"outcome": "delayed", "timestamp": later}),
        row("calls move_to_waiting_children", "wait", None, {"outcome": "waitingChildren"}),
        row(
            "overruns its deadline",
            "sleep",
            2000,
            failed,
            {"name": "DeadlineExceeded"},
            Trait.ENDING_A_THREAD,
            timeout=500,
        ),
        row("returns more than maxOutcomeBytes", "echo", "x" * 5000, unrecoverable, much, maxOutcomeBytes=1000),
    ]
