"""The refusal rows of protocol section 2 for bodies that are signed: no JSON, no delivery, no worker."""

from __future__ import annotations

import typing as t

from .support import Case, Wire, delivery, encode, signed

_STRICT = "the body is not strict JSON"


def _body(name: str, body: bytes, reason: str) -> Case:
    return Case(f"body: {name}", Wire(signed(body), body), 400, "invalid_body", reason)


def _member(name: str, reason: str, **changes: t.Any) -> Case:
    return _body(name, encode(delivery(**changes)), reason)


def _raw(data: str) -> bytes:
    """A delivery whose data is this text."""
    return encode(delivery(job={"data": "RAW"})).replace(b'"RAW"', data.encode())


def _without(name: str, **of_job: None) -> bytes:
    content = delivery()
    del (content["job"] if of_job else content)[name]
    return encode(content)


JSON_TEXTS = [
    _body("empty", b"", f"{_STRICT} (JSONDecodeError)"),
    _body("spaces", b"   ", f"{_STRICT} (JSONDecodeError)"),
    _body("a part", encode(delivery())[:-1], f"{_STRICT} (JSONDecodeError)"),
    _body("something behind", encode(delivery()) + b"{}", f"{_STRICT} (JSONDecodeError)"),
    _body("not UTF-8", b"\xff\xfe", f"{_STRICT} (UnicodeDecodeError)"),
    _body("latin-1 in a text", _raw('"ä"').replace("ä".encode(), b"\xe4"), f"{_STRICT} (UnicodeDecodeError)"),
    _body("UTF-16", encode(delivery()).decode().encode("utf-16"), f"{_STRICT} (UnicodeDecodeError)"),
    _body("a byte order mark", b"\xef\xbb\xbf" + encode(delivery()), f"{_STRICT} (JSONDecodeError)"),
    _body("NaN", _raw("NaN"), f"{_STRICT} (ValueError)"),
    _body("Infinity", _raw("-Infinity"), f"{_STRICT} (ValueError)"),
    _body("a number that is no double", _raw("1e999"), f"{_STRICT} (ValueError)"),
    _body("an integer of 5,000 digits", _raw("9" * 5000), f"{_STRICT} (ValueError)"),
    _body("101 levels", _raw("[" * 99 + "]" * 99), f"{_STRICT} (ValueError)"),
    _body("200,000 levels", b"[" * 200_000, f"{_STRICT} (ValueError)"),
    _body("200,000 levels of objects", b'{"a":' * 200_000, f"{_STRICT} (ValueError)"),
    _body("an array", b"[]", "the body is not an object"),
    _body("a text", b'"delivery"', "the body is not an object"),
    _body("null", b"null", "the body is not an object"),
]

MEMBERS = [
    _body("no deliveryId", _without("deliveryId"), "deliveryId is not a string"),
    _body("no queue", _without("queue"), "queue is not a string"),
    _body("no timeout", _without("timeout"), "timeout is not a whole number"),
    _body("no job", _without("job"), "job is not an object"),
    _body("no id of the job", _without("id", job=None), "job.id is not a string"),
    _body("no name of the job", _without("name", job=None), "job.name is not a string"),
    _member("another deliveryId", "deliveryId is not the one of the header", deliveryId="dlv_2"),
    _member("a deliveryId that is a number", "deliveryId is not a string", deliveryId=1),
    _member("a queue that is null", "queue is not a string", queue=None),
    _member("a timeout that is text", "timeout is not a whole number", timeout="30000"),
    _member("a timeout that is no whole number", "timeout is not a whole number", timeout=30.5),
    _member("a timeout that is true", "timeout is not a whole number", timeout=True),
    _member("a timeout of 0", "timeout is not between 1 and 9007199254740992", timeout=0),
    _member("a timeout over 2^53", "timeout is not between 1 and 9007199254740992", timeout=2**53 + 1),
    _member(
        "maxOutcomeBytes below 0", "maxOutcomeBytes is not between 0 and 9007199254740992", maxOutcomeBytes=-1
    ),
    _member("a worker that is text", "worker is not an object", worker="x"),
    _member("a fingerprint that is a number", "worker.fingerprint is not a string", worker={"fingerprint": 1}),
    _body("a job that is an array", encode(delivery() | {"job": ["echo"]}), "job is not an object"),
    _member("an id of the job that is a number", "job.id is not a string", job={"id": 42}),
    _member("opts that are an array", "job.opts is not an object", job={"opts": []}),
    _member(
        "attemptsMade below 0", "job.attemptsMade is not between 0 and 9007199254740992", job={"attemptsMade": -1}
    ),
    _member("a delay that is text", "job.delay is not a whole number", job={"delay": "1"}),
    _member("a timestamp of a fraction", "job.timestamp is not a whole number", job={"timestamp": 0.5}),
    _member("a parent that is text", "job.parent is not an object", job={"parent": "1"}),
    _member("a parent without a queue", "job.parent.queue is not a string", job={"parent": {"id": "1"}}),
]


def _queue(name: str, route: str, queue: str, reason: str) -> Case:
    body = encode(delivery(queue=queue))
    return Case(f"queue: {name}", Wire(signed(body), body, route=f"/queues/{route}"), 404, "not_found", reason)


QUEUES = [
    _queue("the body's is another", "blocking", "awaited", "the body names another queue"),
    _queue("the path's is another", "awaited", "blocking", "the body names another queue"),
    _queue("in capitals", "blocking", "Blocking", "the body names another queue"),
    _queue("not mounted", "unmounted", "unmounted", "no worker is mounted for it"),
    _queue("not mounted, nor the body's", "unmounted", "blocking", "no worker is mounted for it"),
]
