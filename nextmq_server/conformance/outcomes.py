"""The outcomes of protocol section 3. The probe is a queue whose processor does what the job's name says.

    echo            returns the job's data
    fail            fails; its message is the data, a text
    unrecoverable   fails in the same way, unrecoverably
    rate-limit      rate-limits the queue for the data, ms
    delay           delays the job until the data, ms since the epoch
    wait            waits for the job's children
    sleep           sleeps for the data, ms, and returns it

Jobs of other names have no processor.
"""

from __future__ import annotations

import typing as t

from .cases import Case, Trait
from .requests import Sender, encode

Json = dict[str, t.Any]


def rows(sender: Sender) -> list[Case]:
    """List a case for each outcome."""

    def row(name: str, job: str, data: t.Any, outcome: Json, error: Json | None = None, **more: t.Any) -> Case:
        wire = sender.post(encode(sender.delivery(job={"name": job, "data": data}, **more)))
        traits = {Trait.ENDING_A_THREAD} if job == "sleep" else ()
        return Case(name, wire, traits=traits, outcome=outcome, error=error or {})

    failed: Json = {"outcome": "failed"}
    unrecoverable = {**failed, "unrecoverable": True}
    data = {"a": [1, None, 0.5], "ä": "☃"}
    later = (sender.now + 3600) * 1000
    late, much = {"name": "DeadlineExceeded"}, {"name": "ReturnValueError"}
    return [
        row("returns its data", "echo", data, {"outcome": "completed", "returnValue": data}),
        row("returns null", "echo", None, {"outcome": "completed", "returnValue": None}),
        row("raises", "fail", "no such address: ä☃😀", failed, {"message": "no such address: ä☃😀"}),
        row("raises a long text", "fail", "ä" * 10_000, failed),
        row("has no processor for the job's name", "unknown", None, failed, {"name": "UnknownJobName"}),
        row("raises UnrecoverableJobError", "unrecoverable", "no", unrecoverable, {"message": "no"}),
        row("raises RateLimitError", "rate-limit", 5000, {"outcome": "rateLimited", "delay": 5000}),
        row("rate-limits for a day", "rate-limit", 86_400_000, {"outcome": "rateLimited", "delay": 86_400_000}),
        row("calls move_to_delayed", "delay", later, {"outcome": "delayed", "timestamp": later}),
        row("calls move_to_waiting_children", "wait", None, {"outcome": "waitingChildren"}),
        row("overruns its deadline", "sleep", 2000, failed, late, timeout=500),
        row("returns more than maxOutcomeBytes", "echo", "x" * 5000, unrecoverable, much, maxOutcomeBytes=1000),
    ]
