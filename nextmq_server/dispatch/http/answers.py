"""What came back for one delivery, before it is judged."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from nextmq_handler.protocol.messages import Headers


@dataclass(frozen=True, slots=True)
class AppAnswer:
    """An HTTP answer. `body` is whole unless `is_truncated`; `elapsed` is s from sending to the headers."""

    status: int
    headers: Headers
    body: bytes
    is_truncated: bool
    elapsed: float


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """No answer arrived, or not the whole of it.

    "not_sent": nothing can have reached the processor; "unsendable": the same, and this server is the reason;
    "broken": the connection ended after bytes were sent; "timeout": no whole answer by the deadline.
    """

    status: t.ClassVar[None] = None
    kind: t.Literal["not_sent", "unsendable", "broken", "timeout"]
    detail: str
