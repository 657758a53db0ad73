"""The refusals of protocol section 2, step by step: each request, and the status, code and reason it gets."""

from __future__ import annotations

from functools import partial

from nextmq_handler.protocol.signing import TOLERANCE

from .cases import Case, Trait, refused
from .requests import ENCODING, ID, JSON, LENGTH, SIGNATURE, TIMESTAMP, TYPE, UNKNOWN_SECRET, Sender, length_of

_METHODS = ("GET", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")


def paths(sender: Sender) -> list[Case]:
    """List paths that nothing answers at."""
    queue, post = sender.queue, partial(sender.post, sender.good)
    path = partial(refused, "path", 404, "not_found", None)
    return [
        path("the mount", post(route="/"), Trait.MOUNT_ITSELF),
        path("unknown", post(route="/nothing")),
        path("no queue", post(route="/queues")),
        path("an empty queue", post(route="/queues/")),
        path("a slash behind", post(route=f"/queues/{queue}/")),
        path("a slash doubled", post(route=f"/queues//{queue}"), Trait.DOUBLED_SLASH),
        path("a part behind", post(route=f"/queues/{queue}/jobs")),
        path("a part before", post(route=f"/api/queues/{queue}")),
        path("a dot", post(route="/queues/%2E")),
        path("two dots", post(route="/queues/%2E%2E")),
        path("a space", post(route="/queues/my%20jobs")),
        path("not ASCII", post(route="/queues/%C3%A4")),
        path("not UTF-8", post(route="/queues/%FF")),
        path("a null", post(route=f"/queues/{queue}%00")),
        path("a newline", post(route=f"/queues/{queue}%0A"), Trait.NEWLINE),
        path("101 characters", post(route="/queues/" + "x" * 101)),
        path("capitals", post(route=f"/Queues/{queue}")),
        path("health with capitals", post(route="/Health")),
        path("health with a slash", post(route="/health/")),
        path("health with a part behind", post(route=f"/health/{queue}")),
    ]


def methods(sender: Sender) -> list[Case]:
    """List methods that get a 405, with `allow`."""

    def method(name: str, route: str, *traits: Trait) -> Case:
        wire = sender.post(sender.good, method=name, route=route)
        return Case(f"{name} {route}", wire, 405, "method_not_allowed", traits=traits)

    return [
        *(method(name, sender.route) for name in _METHODS),
        *(method(name, "/health") for name in ("POST", *_METHODS[1:])),
        method("GET", "/queues/unmounted"),
        method("BREW", sender.route, Trait.OWN_METHOD),
        method("BREW", "/health", Trait.OWN_METHOD),
        method("post", sender.route, Trait.LOWER_CASE_METHOD, Trait.OWN_METHOD),
    ]


def types(sender: Sender) -> list[Case]:
    """List content types and encodings that are refused."""
    head = sender.head
    kind = partial(refused, "type", 415, "unsupported_media_type", "content type or encoding")
    return [
        kind("none", head(TYPE)),
        kind("empty", head(TYPE, b"")),
        kind("plain text", head(TYPE, b"text/plain")),
        kind("a form", head(TYPE, b"application/x-www-form-urlencoded")),
        kind("a multipart form", head(TYPE, b"multipart/form-data; boundary=x")),
        kind("a longer word", head(TYPE, b"application/jsonx")),
        kind("JSON as a parameter", head(TYPE, b"text/plain; application/json")),
        kind("JSON and text in one", head(TYPE, b"application/json, text/plain")),
        kind("JSON twice", head(TYPE, b"application/json", b"application/json"), Trait.REPEATED_TYPE),
        kind("gzip", head(ENCODING, b"gzip")),
        kind("gzip after identity", head(ENCODING, b"identity, gzip")),
        kind("br in a second header", head(ENCODING, b"br", b"identity"), Trait.REPEATED),
        kind("an empty encoding", head(ENCODING, b"")),
    ]


def headers(sender: Sender) -> list[Case]:
    """List malformed signature headers: each must occur exactly once, in ASCII, well formed."""
    id, at, head = sender.id.encode(), b"%d" % sender.now, sender.head
    missing = partial(refused, "header", 401, "unauthorized", "header_missing")
    malformed = partial(refused, "header", 401, "unauthorized", "header_malformed")
    return [
        missing("no id", head(ID)),
        missing("no timestamp", head(TIMESTAMP)),
        missing("no signature", head(SIGNATURE)),
        malformed("the id twice", head(ID, id, id), Trait.REPEATED),
        malformed("two ids", head(ID, b"dlv_2", id), Trait.REPEATED),
        malformed("the timestamp twice", head(TIMESTAMP, at, at), Trait.REPEATED),
        malformed("ids joined", head(ID, id + b"," + id)),
        malformed("timestamps joined", head(TIMESTAMP, at + b", " + at)),
        malformed("an empty id", head(ID, b"")),
        malformed("an id of 65", head(ID, b"a" * 65)),
        malformed("an id with a dot", head(ID, b"dlv.1")),
        malformed("an id that is not ASCII", head(ID, "dlv_ä".encode())),
        malformed("an id with spaces around", head(ID, b" " + id + b" "), Trait.SPACES),
        malformed("an id with a newline", head(ID, id + b"\n"), Trait.CONTROLS),
        malformed("an empty timestamp", head(TIMESTAMP, b"")),
        malformed("a timestamp of 12 digits", head(TIMESTAMP, b"1" * 12)),
        malformed("a timestamp with a sign", head(TIMESTAMP, b"+" + at)),
        malformed("a timestamp with a newline", head(TIMESTAMP, at + b"\n"), Trait.CONTROLS),
        malformed("a signature that is not ASCII", head(SIGNATURE, sender.token(sender.good) + b" v1,\xe4")),
    ]


def times(sender: Sender) -> list[Case]:
    """List timestamps outside the tolerance, 300 s."""
    now, at, too_far = sender.now, sender.at, TOLERANCE + sender.slack + 1
    old = partial(refused, "time", 401, "unauthorized", "timestamp_too_old")
    new = partial(refused, "time", 401, "unauthorized", "timestamp_too_new")
    return [
        old("too old", at(now - too_far)),
        new("too new", at(now + too_far)),
        old("1970", at(0)),
        new("in ms", at(now * 10)),
        new("the largest", at(99_999_999_999)),
    ]


def sizes(sender: Sender) -> list[Case]:
    """List bodies that are too large. They are refused before any hashing."""
    over = sender.good + b" " * (sender.max_body_size + 1 - len(sender.good))
    valid, forged = sender.seal(over), sender.seal(over, secret=UNKNOWN_SECRET)
    huge, post, large = (LENGTH, b"%d" % 10**12), sender.post, Trait.LARGE_BODY
    size = partial(refused, "size", 413, "payload_too_large", f"over max_body_size, {sender.max_body_size} bytes")
    return [
        size("one byte over", post(over), large),
        size("before any hashing", post(over, [JSON, length_of(over), *forged]), large),
        size("counted", post(over, [JSON, *valid]), large, Trait.NO_LENGTH),
        size("counted before any hashing", post(over, [JSON, *forged]), large, Trait.NO_LENGTH),
        size("declared alone", post(b"", [JSON, huge, *forged]), large, Trait.DECLARED_ALONE),
    ]


def stalls(sender: Sender) -> list[Case]:
    """Return a body that is not whole within `body_timeout`."""
    wire = sender.post(sender.good, stalls=True)
    return [Case("stall: half a body", wire, 408, "request_timeout", traits={Trait.STALLING})]


def signatures(sender: Sender) -> list[Case]:
    """List signatures that do not match."""
    good, token = sender.good, sender.token(sender.good)

    def signature(name: str, value: bytes, *, body: bytes = good) -> Case:
        head = [(key, old) for key, old in sender.head(SIGNATURE, value).headers if key != LENGTH]
        wire = sender.post(body, [*head, length_of(body)])
        return refused("signature", 401, "unauthorized", "signature_mismatch", name, wire)

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


def order(sender: Sender) -> list[Case]:
    """List requests with two faults: the answer names the one that is checked first."""
    good, post, part, text = sender.good, sender.post, sender.good[:-1], [(TYPE, b"text/plain")]
    forged = [JSON, *sender.seal(good, secret=UNKNOWN_SECRET)]
    elsewhere = "/queues/unmounted"
    unauthorized = partial(refused, "order", 401, "unauthorized", None)
    return [
        refused("order", 404, "not_found", None, "a path before a type", post(b"", text, route="/nothing")),
        refused("order", 405, "method_not_allowed", None, "a method before a type", post(b"", text, method="PUT")),
        refused("order", 415, "unsupported_media_type", None, "a type before headers", post(b"", text)),
        unauthorized("headers before JSON", post(part, [JSON, length_of(part)])),
        unauthorized("a signature before JSON", post(part, [*forged, length_of(part)])),
        unauthorized("a signature before a queue", post(good, [*forged, length_of(good)], route=elsewhere)),
        refused("order", 400, "invalid_body", None, "JSON before a queue", post(part, route=elsewhere)),
    ]
