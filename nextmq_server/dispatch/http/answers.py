"""What came back for one delivery, before anyone judges it."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from nextmq_handler.protocol.messages import Headers


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer. `body` is whole unless `is_truncated`; `elapsed` is s from sending to the headers."""

    status: int
    headers: Headers
    body: bytes
    is_truncated: bool
    elapsed: float


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """No whole answer.

    "not_sent": provably nothing reached the processor; "broken": the connection ended after bytes were sent;
    "timeout": nothing whole by the deadline.
    """

    kind: t.Literal["not_sent", "broken", "timeout"]
    detail: str
