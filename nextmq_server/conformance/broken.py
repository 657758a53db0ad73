"""Bodies that break off or are malformed on the wire. No input yields a 5xx (protocol section 2)."""

from __future__ import annotations

from .cases import BrokenCase
from .requests import JSON, Sender, Wire, length_of

_CHUNKED = (b"transfer-encoding", b"chunked")


def broken(sender: Sender) -> list[BrokenCase]:
    """List bodies that a server must refuse or drop."""
    good = sender.good
    size = b"%x\r\n" % len(good)

    def body(name: str, framing: tuple[bytes, bytes], content: bytes) -> BrokenCase:
        head = [JSON, *sender.seal(good), framing]
        return BrokenCase(f"broken: {name}", Wire(head, content, route=sender.route, is_broken=True))

    return [
        body("nothing of it comes", length_of(good), b""),
        body("half of it comes", length_of(good), good[:100]),
        body("no chunk comes", _CHUNKED, b""),
        body("half a chunk comes", _CHUNKED, size + good[:100]),
        body("no last chunk comes", _CHUNKED, size + good + b"\r\n"),
        body("a size that is not a number", _CHUNKED, b"zz\r\n" + good + b"\r\n0\r\n\r\n"),
        body("a size below 0", _CHUNKED, b"-1\r\n" + good + b"\r\n0\r\n\r\n"),
        body("a chunk that is longer than its size", _CHUNKED, b"5\r\n" + good + b"\r\n0\r\n\r\n"),
        body("a malformed trailer", _CHUNKED, size + good + b"\r\n0\r\n: \x00\r\n\r\n"),
    ]
