"""The answers that are not outcomes: refusals, and that of the health check."""

from __future__ import annotations

from ..protocol import strict_json
from ..protocol.messages import Response

JSON = (b"content-type", b"application/json")


def health(method: str) -> Response:
    """Answer `/health`."""
    if method not in ("GET", "HEAD"):
        return refusal(405, "method_not_allowed", (b"allow", b"GET, HEAD"))
    return Response(200, [JSON], strict_json.dumps({"status": "ok"}))


def refusal(status: int, code: str, *headers: tuple[bytes, bytes]) -> Response:
    """Answer with a stable code, which is all that the caller is told."""
    return Response(status, [JSON, *headers], strict_json.dumps({"error": code}))
