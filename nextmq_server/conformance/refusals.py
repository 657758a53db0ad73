"""The refusals of protocol section 2, step by step: each request, and the status, code and reason it gets."""

from __future__ import annotations

from .cases import StatusCase, Trait
from .requests import (
    ENCODING,
    ID,
    JSON,
    LENGTH,
    SIGNATURE,
    TIMESTAMP,
    TYPE,
    UNKNOWN_SECRET,
    Sender,
    Wire,
    length_of,
)

_METHODS = ("GET", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")


def paths(sender: Sender) -> list[StatusCase]:
    """List paths that nothing answers at."""
    queue = sender.queue

    def path(name: str, route: str, *traits: Trait) -> StatusCase:
        wire = Wire(sender.signed(sender.good), sender.good, route=route)
        return StatusCase(f"path: {name}", wire, 404, "not_found", None, frozenset(traits))

    return [
        path("the mount", "/", Trait.MOUNT_ITSELF),
        path("unknown", "/nothing"),
        path("no queue", "/queues"),
        path("an empty queue", "/queues/"),
        path("a slash behind", f"/queues/{queue}/"),
        path("a slash doubled", f"/queues//{queue}", Trait.DOUBLED_SLASH),
        path("a part behind", f"/queues/{queue}/jobs"),
        path("a part before", f"/api/queues/{queue}"),
        path("a dot", "/queues/%2E"),
        path("two dots", "/queues/%2E%2E"),
        path("a space", "/queues/my%20jobs"),
        path("not ASCII", "/queues/%C3%A4"),
        path("not UTF-8", "/queues/%FF"),
        path("a null", f"/queues/{queue}%00"),
        path("a newline", f"/queues/{queue}%0A", Trait.NEWLINE),
        path("101 characters", "/queues/" + "x" * 101),
        path("capitals", f"/Queues/{queue}"),
        path("health with capitals", "/Health"),
        path("health with a slash", "/health/"),
        path("health with a part behind", f"/health/{queue}"),
    ]


def methods(sender: Sender) -> list[StatusCase]:
    """List methods that get a 405, with `allow`."""

    def method(name: str, route: str, *traits: Trait) -> StatusCase:
        wire = Wire(sender.signed(sender.good), sender.good, method=name, route=route)
        return StatusCase(f"{name} {route}", wire, 405, "method_not_allowed", None, frozenset(traits))

    return [
        *(method(name, sender.route) for name in _METHODS),
        *(method(name, "/health") for name in ("POST", *_METHODS[1:])),
        method("GET", "/queues/unmounted"),
        method("BREW", sender.route, Trait.OWN_METHOD),
        method("BREW", "/health", Trait.OWN_METHOD),
        method("post", sender.route, Trait.LOWER_CASE_METHOD, Trait.OWN_METHOD),
    ]


def types(sender: Sender) -> list[StatusCase]:
    """List content types and encodings that are refused."""

    def head(name: str, header: bytes, *values: bytes, traits: tuple[Trait, ...] = ()) -> StatusCase:
        wire = sender.post(sender.good, sender.with_header(header, *values))
        reason = "content type or encoding"
        return StatusCase(f"type: {name}", wire, 415, "unsupported_media_type", reason, frozenset(traits))

    return [
        head("none", TYPE),
        head("empty", TYPE, b""),
        head("plain text", TYPE, b"text/plain"),
        head("a form", TYPE, b"application/x-www-form-urlencoded"),
        head("a multipart form", TYPE, b"multipart/form-data; boundary=x"),
        head("a longer word", TYPE, b"application/jsonx"),
        head("JSON as a parameter", TYPE, b"text/plain; application/json"),
        head("JSON and text in one", TYPE, b"application/json, text/plain"),
        head("JSON twice", TYPE, b"application/json", b"application/json", traits=(Trait.REPEATED_TYPE,)),
        head("gzip", ENCODING, b"gzip"),
        head("gzip after identity", ENCODING, b"identity, gzip"),
        head("br in a second header", ENCODING, b"br", b"identity", traits=(Trait.REPEATED,)),
        head("an empty encoding", ENCODING, b""),
    ]


def headers(sender: Sender) -> list[StatusCase]:
    """List malformed signature headers: each must occur exactly once, in ASCII, well formed."""
    id, at = sender.id.encode(), b"%d" % sender.now

    def head(reason: str, name: str, header: bytes, *values: bytes, traits: tuple[Trait, ...] = ()) -> StatusCase:
        wire = sender.post(sender.good, sender.with_header(header, *values))
        return StatusCase(f"header: {name}", wire, 401, "unauthorized", reason, frozenset(traits))

    def malformed(name: str, header: bytes, *values: bytes, traits: tuple[Trait, ...] = ()) -> StatusCase:
        return head("header_malformed", name, header, *values, traits=traits)

    return [
        head("header_missing", "no id", ID),
        head("header_missing", "no timestamp", TIMESTAMP),
        head("header_missing", "no signature", SIGNATURE),
        malformed("the id twice", ID, id, id, traits=(Trait.REPEATED,)),
        malformed("two ids", ID, b"dlv_2", id, traits=(Trait.REPEATED,)),
        malformed("the timestamp twice", TIMESTAMP, at, at, traits=(Trait.REPEATED,)),
        malformed("ids joined", ID, id + b"," + id),
        malformed("timestamps joined", TIMESTAMP, at + b", " + at),
        malformed("an empty id", ID, b""),
        malformed("an id of 65", ID, b"a" * 65),
        malformed("an id with a dot", ID, b"dlv.1"),
        malformed("an id that is not ASCII", ID, "dlv_ä".encode()),
        malformed("an id with spaces around", ID, b" " + id + b" ", traits=(Trait.SPACES,)),
        malformed("an id with a newline", ID, id + b"\n", traits=(Trait.CONTROLS,)),
        malformed("an empty timestamp", TIMESTAMP, b""),
        malformed("a timestamp of 12 digits", TIMESTAMP, b"1" * 12),
        malformed("a timestamp with a sign", TIMESTAMP, b"+" + at),
        malformed("a timestamp with a newline", TIMESTAMP, at + b"\n", traits=(Trait.CONTROLS,)),
        malformed("a signature that is not ASCII", SIGNATURE, sender.token(sender.good) + b" v1,\xe4"),
    ]


def times(sender: Sender) -> list[StatusCase]:
    """List timestamps outside the tolerance, 300 s."""

    def time(name: str, at: int, reason: str) -> StatusCase:
        wire = sender.post(sender.good, sender.signed(sender.good, at=at))
        return StatusCase(f"time: {name}", wire, 401, "unauthorized", reason)

    return [
        time("too old", sender.now - sender.too_old, "timestamp_too_old"),
        time("too new", sender.now + sender.too_old, "timestamp_too_new"),
        time("1970", 0, "timestamp_too_old"),
        time("in ms", sender.now * 10, "timestamp_too_new"),
        time("the largest", 99_999_999_999, "timestamp_too_new"),
    ]


def sizes(sender: Sender) -> list[StatusCase]:
    """List bodies that are too large. They are refused before any hashing."""
    over = sender.good + b" " * (sender.max_body_size + 1 - len(sender.good))
    forged = sender.seal(over, secrets=[UNKNOWN_SECRET])

    def size(name: str, wire: Wire, *traits: Trait) -> StatusCase:
        reason = f"over max_body_size, {sender.max_body_size} bytes"
        return StatusCase(
            f"size: {name}", wire, 413, "payload_too_large", reason, frozenset((Trait.LARGE_BODY, *traits))
        )

    return [
        size("one byte over", sender.post(over)),
        size("before any hashing", sender.post(over, [JSON, length_of(over), *forged])),
        size("counted", sender.post(over, [JSON, *sender.seal(over)]), Trait.NO_LENGTH),
        size("counted before any hashing", sender.post(over, [JSON, *forged]), Trait.NO_LENGTH),
        size("declared alone", sender.post(b"", [JSON, (LENGTH, b"%d" % 10**12), *forged])),
    ]


def stalls(sender: Sender) -> list[StatusCase]:
    """Return a body that is not whole within `body_timeout`."""
    wire = sender.post(sender.good, stalls=True)
    return [StatusCase("stall: half a body", wire, 408, "request_timeout", None, frozenset({Trait.STALLING}))]


def signatures(sender: Sender) -> list[StatusCase]:
    """List signatures that do not match."""
    good = sender.good
    token = sender.token(good)

    def signature(name: str, value: bytes, *, body: bytes = good) -> StatusCase:
        head = [(key, old) for key, old in sender.with_header(SIGNATURE, value) if key != LENGTH]
        wire = sender.post(body, [*head, length_of(body)])
        return StatusCase(f"signature: {name}", wire, 401, "unauthorized", "signature_mismatch")

    return [
        signature("empty", b""),
        signature("no token", b"v1"),
        signature("an empty token", b"v1,"),
        signature("another version", b"v2" + token[2:]),
        signature("in capitals", b"V1" + token[2:]),
        signature("joined by a comma", b"v1,AAAA," + token),
        signature("a tab between", b"v1,AAAA\t" + token),
        signature("the ninth", b" ".join([b"v1,AAAA"] * 8 + [token])),
        signature("under another secret", sender.token(good, secret=UNKNOWN_SECRET)),
        signature("of another id", sender.token(good, id="dlv_2")),
        signature("of another time", sender.token(good, at=sender.now - 1)),
        signature("of another body", token, body=good.replace(b'"42"', b'"43"')),
        signature("of a body with one space less", token, body=good + b" "),
        signature("of an outcome", sender.token(b"outcome." + good)),
    ]


def order(sender: Sender) -> list[StatusCase]:
    """List requests with two faults: the answer names the one that is checked first."""
    forged = [JSON, *sender.seal(sender.good, secrets=[UNKNOWN_SECRET]), length_of(sender.good)]
    text = [(TYPE, b"text/plain")]
    part = sender.good[:-1]

    def told(first: str, then: str, wire: Wire, status: int, code: str) -> StatusCase:
        return StatusCase(f"order: {first} before {then}", wire, status, code)

    return [
        told("a path", "a type", Wire(text, route="/nothing"), 404, "not_found"),
        told("a method", "a type", Wire(text, method="PUT", route=sender.route), 405, "method_not_allowed"),
        told("a type", "headers", sender.post(b"", text), 415, "unsupported_media_type"),
        told("headers", "JSON", sender.post(part, [JSON, length_of(part)]), 401, "unauthorized"),
        told("a signature", "JSON", sender.post(part, [*forged[:-1], length_of(part)]), 401, "unauthorized"),
        told("a signature", "a queue", Wire(forged, sender.good, route="/queues/unmounted"), 401, "unauthorized"),
        told("JSON", "a queue", Wire(sender.signed(part), part, route="/queues/unmounted"), 400, "invalid_body"),
    ]
