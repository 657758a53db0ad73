"""The refusal rows of protocol section 2, step by step: what is sent, and the status, code and reason it gets."""

from __future__ import annotations

from .limits import Trait
from .setups import NOW, SMALL, UNKNOWN_SECRET
from .support import GOOD, JSON, Case, Wire, delivery, encode, length_of, seal, signed, wire_of, with_header

ID, TIMESTAMP, SIGNATURE = b"x-nextmq-id", b"x-nextmq-timestamp", b"x-nextmq-signature"
TYPE, ENCODING = b"content-type", b"content-encoding"


def _path(name: str, route: str, *traits: Trait) -> Case:
    return Case(f"path: {name}", Wire(signed(GOOD), GOOD, route=route), 404, "not_found", None, frozenset(traits))


PATHS = [
    _path("the mount", "/", Trait.MOUNT_ITSELF),
    _path("nobody's", "/nothing"),
    _path("no queue", "/queues"),
    _path("an empty queue", "/queues/"),
    _path("a slash behind", "/queues/blocking/"),
    _path("a slash doubled", "/queues//blocking", Trait.DOUBLED_SLASH),
    _path("a part behind", "/queues/blocking/jobs"),
    _path("a part before", "/api/queues/blocking"),
    _path("a dot", "/queues/%2E"),
    _path("two dots", "/queues/%2E%2E"),
    _path("a space", "/queues/my%20jobs"),
    _path("not ASCII", "/queues/%C3%A4"),
    _path("not UTF-8", "/queues/%FF"),
    _path("a null", "/queues/blocking%00"),
    _path("a newline", "/queues/blocking%0A", Trait.NEWLINE),
    _path("101 characters", "/queues/" + "x" * 101),
    _path("capitals", "/Queues/blocking"),
    _path("health with capitals", "/Health"),
    _path("health with a slash", "/health/"),
    _path("health with a part behind", "/health/blocking"),
]


def _method(method: str, route: str, *traits: Trait) -> Case:
    wire = Wire(signed(GOOD), GOOD, method=method, route=route)
    return Case(f"{method} {route}", wire, 405, "method_not_allowed", None, frozenset(traits))


METHODS = [
    *(_method(method, "/queues/blocking") for method in ("GET", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")),
    *(_method(method, "/health") for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")),
    _method("GET", "/queues/unmounted"),
    _method("BREW", "/queues/blocking", Trait.OWN_METHOD),
    _method("BREW", "/health", Trait.OWN_METHOD),
    _method("post", "/queues/blocking", Trait.LOWER_CASE_METHOD, Trait.OWN_METHOD),
]


def _type(name: str, header: bytes, *values: bytes, traits: tuple[Trait, ...] = ()) -> Case:
    wire = Wire(with_header(header, *values), GOOD)
    reason = "content type or encoding"
    return Case(f"type: {name}", wire, 415, "unsupported_media_type", reason, frozenset(traits))


TYPES = [
    _type("none", TYPE),
    _type("empty", TYPE, b""),
    _type("plain text", TYPE, b"text/plain"),
    _type("a form", TYPE, b"application/x-www-form-urlencoded"),
    _type("a multipart form", TYPE, b"multipart/form-data; boundary=x"),
    _type("a longer word", TYPE, b"application/jsonx"),
    _type("JSON as a parameter", TYPE, b"text/plain; application/json"),
    _type("JSON and text in one", TYPE, b"application/json, text/plain"),
    _type("JSON twice", TYPE, b"application/json", b"application/json", traits=(Trait.REPEATED_TYPE,)),
    _type("gzip", ENCODING, b"gzip"),
    _type("gzip after identity", ENCODING, b"identity, gzip"),
    _type("br in a second header", ENCODING, b"br", b"identity", traits=(Trait.REPEATED,)),
    _type("an empty encoding", ENCODING, b""),
]


def _header(reason: str, name: str, header: bytes, *values: bytes, traits: tuple[Trait, ...] = ()) -> Case:
    wire = Wire(with_header(header, *values), GOOD)
    return Case(f"header: {name}", wire, 401, "unauthorized", reason, frozenset(traits))


def _malformed(name: str, header: bytes, *values: bytes, traits: tuple[Trait, ...] = ()) -> Case:
    return _header("header_malformed", name, header, *values, traits=traits)


_TOKEN = dict(signed(GOOD))[SIGNATURE]
HEADERS = [
    _header("header_missing", "no id", ID),
    _header("header_missing", "no timestamp", TIMESTAMP),
    _header("header_missing", "no signature", SIGNATURE),
    _malformed("the id twice", ID, b"dlv_1", b"dlv_1", traits=(Trait.REPEATED,)),
    _malformed("two ids", ID, b"dlv_2", b"dlv_1", traits=(Trait.REPEATED,)),
    _malformed("the timestamp twice", TIMESTAMP, b"%d" % NOW, b"%d" % NOW, traits=(Trait.REPEATED,)),
    _malformed("ids joined", ID, b"dlv_1,dlv_1"),
    _malformed("timestamps joined", TIMESTAMP, b"%d, %d" % (NOW, NOW)),
    _malformed("an empty id", ID, b""),
    _malformed("an id of 65", ID, b"a" * 65),
    _malformed("an id with a dot", ID, b"dlv.1"),
    _malformed("an id that is not ASCII", ID, "dlv_ä".encode()),
    _malformed("an id with spaces around", ID, b" dlv_1 ", traits=(Trait.SPACES,)),
    _malformed("an id with a newline", ID, b"dlv_1\n", traits=(Trait.CONTROLS,)),
    _malformed("an empty timestamp", TIMESTAMP, b""),
    _malformed("a timestamp of 12 digits", TIMESTAMP, b"1" * 12),
    _malformed("a timestamp with a sign", TIMESTAMP, b"+%d" % NOW),
    _malformed("a timestamp with a newline", TIMESTAMP, b"%d\n" % NOW, traits=(Trait.CONTROLS,)),
    _malformed("a signature that is not ASCII", SIGNATURE, _TOKEN + b" v1,\xe4"),
]


def _time(name: str, at: int, reason: str) -> Case:
    return Case(f"time: {name}", Wire(signed(GOOD, at=at), GOOD), 401, "unauthorized", reason)


TIMES = [
    _time("a second too old", NOW - 301, "timestamp_too_old"),
    _time("a second too new", NOW + 301, "timestamp_too_new"),
    _time("1970", 0, "timestamp_too_old"),
    _time("in ms", NOW * 10, "timestamp_too_new"),
    _time("the largest", 99_999_999_999, "timestamp_too_new"),
]

_BIG = encode(delivery(job={"data": "x" * SMALL}))
_OVER = f"over max_body_size, {SMALL} bytes"
_FORGED = seal(_BIG, secrets=[UNKNOWN_SECRET])


def _size(name: str, wire: Wire, *traits: Trait) -> Case:
    return Case(f"size: {name}", wire, 413, "payload_too_large", _OVER, frozenset(traits))


_PADDED = GOOD + b" " * (SMALL + 1 - len(GOOD))
SIZES = [
    _size("one byte over", Wire(signed(_PADDED), _PADDED, setup="small")),
    _size("before any hashing", Wire([JSON, length_of(_BIG), *_FORGED], _BIG, setup="small")),
    _size("counted", Wire([JSON, *seal(_BIG)], _BIG, setup="small"), Trait.NO_LENGTH),
    _size("counted before any hashing", Wire([JSON, *_FORGED], _BIG, setup="small"), Trait.NO_LENGTH),
    _size("declared alone", Wire([JSON, (b"content-length", b"%d" % 10**12), *_FORGED], b"", setup="small")),
]

STALLS = [
    Case(
        "stall: half a body",
        Wire(signed(GOOD), GOOD, setup="impatient", stalls=True),
        408,
        "request_timeout",
        "not whole within body_timeout, 0.1 s",
        frozenset({Trait.STALLING}),
    )
]


def _signature(name: str, *values: bytes, body: bytes = GOOD, traits: tuple[Trait, ...] = ()) -> Case:
    head = [*with_header(SIGNATURE, *values)]
    head = [length_of(body) if key == b"content-length" else (key, value) for key, value in head]
    return Case(
        f"signature: {name}", Wire(head, body), 401, "unauthorized", "signature_mismatch", frozenset(traits)
    )


SIGNATURES = [
    _signature("empty", b""),
    _signature("no token", b"v1"),
    _signature("an empty token", b"v1,"),
    _signature("another version", b"v2" + _TOKEN[2:]),
    _signature("in capitals", b"V1" + _TOKEN[2:]),
    _signature("joined by a comma", b"v1,AAAA," + _TOKEN),
    _signature("a tab between", b"v1,AAAA\t" + _TOKEN),
    _signature("the ninth", b" ".join([b"v1,AAAA"] * 8 + [_TOKEN])),
    _signature("under another secret", dict(signed(GOOD, secrets=[UNKNOWN_SECRET]))[SIGNATURE]),
    _signature("of another id", dict(signed(GOOD, id="dlv_2"))[SIGNATURE]),
    _signature("of another time", dict(signed(GOOD, at=NOW - 1))[SIGNATURE]),
    _signature("of another body", _TOKEN, body=GOOD.replace(b"42", b"43")),
    _signature("of a body with one space less", _TOKEN, body=GOOD + b" "),
    _signature("of an outcome", dict(signed(b"outcome." + GOOD))[SIGNATURE]),
]

_REPLAY = wire_of(delivery(), setup="broken-guard")
GUARD = [
    Case(
        "guard: one that raises",
        _REPLAY,
        503,
        "replay_guard_unavailable",
        "the replay guard failed: ConnectionError",
    )
]
