"""The refusals of protocol section 2 for signed bodies: not JSON, not a delivery, or without a worker."""

from __future__ import annotations

import typing as t

from .cases import StatusCase
from .requests import Sender, Wire, encode

_STRICT = "the body is not strict JSON"


def _body(sender: Sender, name: str, body: bytes, reason: str) -> StatusCase:
    return StatusCase(f"body: {name}", sender.post(body), 400, "invalid_body", reason)


def texts(sender: Sender) -> list[StatusCase]:
    """List bodies that are not strict JSON."""

    def text(name: str, body: bytes, kind: str) -> StatusCase:
        return _body(sender, name, body, f"{_STRICT} ({kind})")

    many = min(200_000, sender.max_body_size // 6)
    return [
        text("empty", b"", "JSONDecodeError"),
        text("spaces", b"   ", "JSONDecodeError"),
        text("a part", sender.good[:-1], "JSONDecodeError"),
        text("something behind", sender.good + b"{}", "JSONDecodeError"),
        text("not UTF-8", b"\xff\xfe", "UnicodeDecodeError"),
        text("latin-1 in a text", sender.raw('"ä"').replace("ä".encode(), b"\xe4"), "UnicodeDecodeError"),
        text("UTF-16", sender.good.decode().encode("utf-16"), "UnicodeDecodeError"),
        text("a byte order mark", b"\xef\xbb\xbf" + sender.good, "JSONDecodeError"),
        text("NaN", sender.raw("NaN"), "ValueError"),
        text("Infinity", sender.raw("-Infinity"), "ValueError"),
        text("a number that does not fit a double", sender.raw("1e999"), "ValueError"),
        text("an integer of 5,000 digits", sender.raw("9" * 5000), "ValueError"),
        text("101 levels", sender.raw("[" * 99 + "]" * 99), "ValueError"),
        text("far too many levels", b"[" * many, "ValueError"),
        text("far too many levels of objects", b'{"a":' * many, "ValueError"),
        _body(sender, "an array", b"[]", "the body is not an object"),
        _body(sender, "a text", b'"delivery"', "the body is not an object"),
        _body(sender, "null", b"null", "the body is not an object"),
    ]


def members(sender: Sender) -> list[StatusCase]:
    """List deliveries whose members are not those of section 2."""

    def member(name: str, reason: str, **changes: t.Any) -> StatusCase:
        return _body(sender, name, encode(sender.delivery(**changes)), reason)

    def without(name: str, *, of_job: bool = False) -> bytes:
        content = sender.delivery()
        del (content["job"] if of_job else content)[name]
        return encode(content)

    large = "not between {} and 9007199254740992"
    return [
        _body(sender, "no deliveryId", without("deliveryId"), "deliveryId is not a string"),
        _body(sender, "no queue", without("queue"), "queue is not a string"),
        _body(sender, "no timeout", without("timeout"), "timeout is not a whole number"),
        _body(sender, "no job", without("job"), "job is not an object"),
        _body(sender, "no id of the job", without("id", of_job=True), "job.id is not a string"),
        _body(sender, "no name of the job", without("name", of_job=True), "job.name is not a string"),
        member("another deliveryId", "deliveryId is not the one of the header", deliveryId="dlv_2"),
        member("a deliveryId that is a number", "deliveryId is not a string", deliveryId=1),
        member("a queue that is null", "queue is not a string", queue=None),
        member("a timeout that is text", "timeout is not a whole number", timeout="30000"),
        member("a timeout that is not a whole number", "timeout is not a whole number", timeout=30.5),
        member("a timeout that is true", "timeout is not a whole number", timeout=True),
        member("a timeout of 0", f"timeout is {large.format(1)}", timeout=0),
        member("a timeout over 2^53", f"timeout is {large.format(1)}", timeout=2**53 + 1),
        member("maxOutcomeBytes below 0", f"maxOutcomeBytes is {large.format(0)}", maxOutcomeBytes=-1),
        member("a worker that is text", "worker is not an object", worker="x"),
        member("a fingerprint that is a number", "worker.fingerprint is not a string", worker={"fingerprint": 1}),
        member("a job that is an array", "job is not an object", job=["echo"]),
        member("an id of the job that is a number", "job.id is not a string", job={"id": 42}),
        member("opts that are an array", "job.opts is not an object", job={"opts": []}),
        member("attemptsMade below 0", f"job.attemptsMade is {large.format(0)}", job={"attemptsMade": -1}),
        member("a delay that is text", "job.delay is not a whole number", job={"delay": "1"}),
        member("a timestamp of a fraction", "job.timestamp is not a whole number", job={"timestamp": 0.5}),
        member("a parent that is text", "job.parent is not an object", job={"parent": "1"}),
        member("a parent without a queue", "job.parent.queue is not a string", job={"parent": {"id": "1"}}),
    ]


def queues(sender: Sender) -> list[StatusCase]:
    """List bodies whose queue is not the path's, or has no worker."""
    own = sender.queue

    def queue(name: str, path: str, named: str, reason: str) -> StatusCase:
        body = encode(sender.delivery(queue=named))
        return StatusCase(
            f"queue: {name}", Wire(sender.signed(body), body, route=f"/queues/{path}"), 404, "not_found", reason
        )

    other, nobody = "the body names another queue", "no worker is mounted for it"
    return [
        queue("the body's is another", own, "another", other),
        queue("in capitals", own, own.swapcase(), other),
        queue("not mounted", "unmounted", "unmounted", nobody),
        queue("not mounted, nor the body's", "unmounted", own, nobody),
    ]
