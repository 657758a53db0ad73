"""GET and HEAD /health, and HEAD elsewhere (protocol sections 2 and 4)."""

from __future__ import annotations

from .cases import Case
from .requests import Sender, Wire


def health(sender: Sender) -> list[Case]:
    """It answers, without a signature."""
    return [
        Case("health: GET", Wire(method="GET"), 200),
        Case("health: HEAD", Wire(method="HEAD"), 200),
        Case("health: a query", Wire(method="GET", route="/health?query=1"), 200),
        Case("health: HEAD of a queue", Wire(method="HEAD", route=sender.route), 405),
    ]
