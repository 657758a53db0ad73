"""Verdicts: what happens to a job after a delivery. The dispatcher decides, the engine carries it out."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from nextmq_handler.protocol.wire import Completed as Completed
from nextmq_handler.protocol.wire import Delayed as Delayed
from nextmq_handler.protocol.wire import Failed as Failed
from nextmq_handler.protocol.wire import Outcome
from nextmq_handler.protocol.wire import RateLimited as RateLimited
from nextmq_handler.protocol.wire import WaitingChildren as WaitingChildren


@dataclass(frozen=True, slots=True)
class Hold:
    """The processor did not run: the queue is held for `seconds` and the job is put back. It uses no attempt."""

    outcome: t.ClassVar[str] = "held"
    seconds: float
    reason: str


Verdict = Outcome | Hold
