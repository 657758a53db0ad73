"""GET and HEAD /health, and HEAD elsewhere (protocol sections 2 and 4)."""

from __future__ import annotations

from .cases import StatusCase
from .requests import Sender, Wire


def health(sender: Sender) -> list[StatusCase]:
    """List requests that need no signature."""
    return [
        StatusCase("health: GET", Wire(method="GET"), 200),
        StatusCase("health: HEAD", Wire(method="HEAD"), 200),
        StatusCase("health: a query", Wire(method="GET", route="/health?query=1"), 200),
        StatusCase("health: HEAD of a queue", Wire(method="HEAD", route=sender.route), 405),
    ]
