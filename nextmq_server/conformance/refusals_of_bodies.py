"""The refusals of protocol section 2 for bodies: broken off, not JSON, not a delivery, or without a worker."""

from __future__ import annotations

import typing as t
from functools import partial

from .cases import Case, refused
from .requests import ABSENT, JSON, Sender, encode, length_of

_CHUNKED = (b"transfer-encoding", b"chunked")
_LIMIT = "and 9007199254740992"


def broken(sender: Sender) -> list[Case]:
    """List bodies that are malformed on the wire. A server may refuse or drop them; no input yields a 5xx."""
    good = sender.good
    size = b"%x\r\n" % len(good)

    def body(name: str, framing: tuple[bytes, bytes], content: bytes) -> Case:
        wire = sender.post(content, [JSON, *sender.seal(good), framing], is_broken=True)
        return Case(f"broken: {name}", wire, status=None)

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


def texts(sender: Sender) -> list[Case]:
    """List bodies that are not strict JSON."""
    many, post, raw = min(200_000, sender.max_body_size // 6), sender.post, sender.raw
    body = partial(refused, "body", 400, "invalid_body")
    malformed = partial(body, "the body is not strict JSON (JSONDecodeError)")
    undecodable = partial(body, "the body is not strict JSON (UnicodeDecodeError)")
    invalid = partial(body, "the body is not strict JSON (ValueError)")
    no_object = partial(body, "the body is not an object")
    return [
        malformed("empty", post(b"")),
        malformed("spaces", post(b"   ")),
        malformed("a part", post(sender.good[:-1])),
        malformed("something behind", post(sender.good + b"{}")),
        undecodable("not UTF-8", post(b"\xff\xfe")),
        undecodable("latin-1 in a text", post(raw('"ä"').replace("ä".encode(), b"\xe4"))),
        undecodable("UTF-16", post(sender.good.decode().encode("utf-16"))),
        malformed("a byte order mark", post(b"\xef\xbb\xbf" + sender.good)),
        invalid("NaN", post(raw("NaN"))),
        invalid("Infinity", post(raw("-Infinity"))),
        invalid("a number that does not fit a double", post(raw("1e999"))),
        invalid("an integer of 5,000 digits", post(raw("9" * 5000))),
        invalid("101 levels", post(raw("[" * 99 + "]" * 99))),
        invalid("far too many levels", post(b"[" * many)),
        invalid("far too many levels of objects", post(b'{"a":' * many)),
        no_object("an array", post(b"[]")),
        no_object("a text", post(b'"delivery"')),
        no_object("null", post(b"null")),
    ]


def members(sender: Sender) -> list[Case]:
    """List deliveries whose members are not those of section 2."""
    rows: list[tuple[str, dict[str, t.Any], str]] = [
        ("no deliveryId", {"deliveryId": ABSENT}, "deliveryId is not a string"),
        ("no queue", {"queue": ABSENT}, "queue is not a string"),
        ("no timeout", {"timeout": ABSENT}, "timeout is not a whole number"),
        ("no job", {"job": ABSENT}, "job is not an object"),
        ("no id of the job", {"job": {"id": ABSENT}}, "job.id is not a string"),
        ("no name of the job", {"job": {"name": ABSENT}}, "job.name is not a string"),
        ("another deliveryId", {"deliveryId": "dlv_2"}, "deliveryId is not the one of the header"),
        ("a deliveryId that is a number", {"deliveryId": 1}, "deliveryId is not a string"),
        ("a queue that is null", {"queue": None}, "queue is not a string"),
        ("a timeout that is text", {"timeout": "30000"}, "timeout is not a whole number"),
        ("a timeout that is not a whole number", {"timeout": 30.5}, "timeout is not a whole number"),
        ("a timeout that is true", {"timeout": True}, "timeout is not a whole number"),
        ("a timeout of 0", {"timeout": 0}, f"timeout is not between 1 {_LIMIT}"),
        ("a timeout over 2^53", {"timeout": 2**53 + 1}, f"timeout is not between 1 {_LIMIT}"),
        ("maxOutcomeBytes below 0", {"maxOutcomeBytes": -1}, f"maxOutcomeBytes is not between 0 {_LIMIT}"),
        ("a worker that is text", {"worker": "x"}, "worker is not an object"),
        ("a fingerprint that is a number", {"worker": {"fingerprint": 1}}, "worker.fingerprint is not a string"),
        ("a job that is an array", {"job": ["echo"]}, "job is not an object"),
        ("an id of the job that is a number", {"job": {"id": 42}}, "job.id is not a string"),
        ("opts that are an array", {"job": {"opts": []}}, "job.opts is not an object"),
        ("attemptsMade below 0", {"job": {"attemptsMade": -1}}, f"job.attemptsMade is not between 0 {_LIMIT}"),
        ("a delay that is text", {"job": {"delay": "1"}}, "job.delay is not a whole number"),
        ("a timestamp of a fraction", {"job": {"timestamp": 0.5}}, "job.timestamp is not a whole number"),
        ("a parent that is text", {"job": {"parent": "1"}}, "job.parent is not an object"),
        ("a parent without a queue", {"job": {"parent": {"id": "1"}}}, "job.parent.queue is not a string"),
    ]
    return [
        refused("body", 400, "invalid_body", reason, name, sender.post(encode(sender.delivery(**changes))))
        for name, changes, reason in rows
    ]


def queues(sender: Sender) -> list[Case]:
    """List bodies whose queue is not the path's, or has no worker."""

    def queue(name: str, path: str, named: str, reason: str) -> Case:
        wire = sender.post(encode(sender.delivery(queue=named)), route=f"/queues/{path}")
        return refused("queue", 404, "not_found", reason, name, wire)

    own, other, nobody = sender.queue, "the body names another queue", "no worker is mounted for it"
    return [
        queue("the body's is another", own, "another", other),
        queue("in capitals", own, own.swapcase(), other),
        queue("not mounted", "unmounted", "unmounted", nobody),
        queue("not mounted, nor the body's", "unmounted", own, nobody),
    ]
