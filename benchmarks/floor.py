"""The floor: the protocol written by hand, once per integration, without options, limits, deadlines or errors.

Headers, timestamp window, HMAC, stdlib json, a processor that does nothing, and the signed answer.
"""

from __future__ import annotations

import base64
import hmac
import json
import time
import typing as t

import flask

from .deliveries import KEY

_JSON = (b"content-type", b"application/json")
_NEEDED = (b"x-nextmq-id", b"x-nextmq-timestamp", b"x-nextmq-signature")


def process(job: t.Any) -> dict[str, bool]:
    return {"ok": True}


async def aprocess(job: t.Any) -> dict[str, bool]:
    return {"ok": True}


def is_authentic(id: bytes, sent_at: bytes, signature: bytes, body: bytes) -> bool:
    if abs(time.time() - int(sent_at)) > 300:
        return False
    digest = hmac.digest(KEY, b"%s.%s.%s" % (id, sent_at, body), "sha256")
    return hmac.compare_digest(b"v1," + base64.b64encode(digest), signature)


def sealed(id: bytes, result: object) -> tuple[bytes, bytes, bytes]:
    """Return the body, timestamp and signature of the outcome."""
    body = json.dumps({"outcome": "completed", "returnValue": result}).encode()
    sent_at = b"%d" % time.time()
    digest = hmac.digest(KEY, b"outcome.%s.%s.%s" % (id, sent_at, body), "sha256")
    return body, sent_at, b"v1," + base64.b64encode(digest)


async def asgi_app(scope: t.Any, receive: t.Any, send: t.Any) -> None:
    found = {name: value for name, value in scope["headers"] if name in _NEEDED}
    id, sent_at, signature = (found[name] for name in _NEEDED)
    body = await _read(receive)
    if not is_authentic(id, sent_at, signature, body):
        await _send(send, 401, [_JSON], b'{"error":"unauthorized"}')
        return
    body, sent_at, signature = sealed(id, await aprocess(json.loads(body)["job"]))
    headers = [_JSON, *zip(_NEEDED, (id, sent_at, signature), strict=True)]
    await _send(send, 200, headers, body)


async def asgi_app_unsigned(scope: t.Any, receive: t.Any, send: t.Any) -> None:
    """Answer without a signature, which the protocol does not allow."""
    found = {name: value for name, value in scope["headers"] if name in _NEEDED}
    body = await _read(receive)
    id, sent_at, signature = (found[name] for name in _NEEDED)
    if not is_authentic(id, sent_at, signature, body):
        await _send(send, 401, [_JSON], b'{"error":"unauthorized"}')
        return
    result = await aprocess(json.loads(body)["job"])
    await _send(send, 200, [_JSON], json.dumps({"outcome": "completed", "returnValue": result}).encode())


async def _read(receive: t.Any) -> bytes:
    chunks: list[bytes] = []
    while True:
        message = await receive()
        chunks.append(message["body"])
        if not message["more_body"]:
            return b"".join(chunks)


async def _send(send: t.Any, status: int, headers: t.Any, body: bytes) -> None:
    headers = [*headers, (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def lambda_app(event: t.Any, context: t.Any) -> dict[str, t.Any]:
    headers = event["headers"]
    id, body = headers["x-nextmq-id"].encode(), event["body"].encode()
    sent_at, signature = headers["x-nextmq-timestamp"].encode(), headers["x-nextmq-signature"].encode()
    if not is_authentic(id, sent_at, signature, body):
        return {"statusCode": 401, "body": '{"error":"unauthorized"}'}
    body, sent_at, signature = sealed(id, process(json.loads(body)["job"]))
    headers = {
        "content-type": "application/json",
        "x-nextmq-id": id.decode(),
        "x-nextmq-timestamp": sent_at.decode(),
        "x-nextmq-signature": signature.decode(),
    }
    return {"statusCode": 200, "headers": headers, "body": body.decode(), "isBase64Encoded": False}


def lean_flask_view(path: str) -> flask.Response:
    """Use nothing of Flask but the route and the answer."""
    environ = flask.request.environ
    id, sent_at = environ["HTTP_X_NEXTMQ_ID"].encode(), environ["HTTP_X_NEXTMQ_TIMESTAMP"].encode()
    body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
    if not is_authentic(id, sent_at, environ["HTTP_X_NEXTMQ_SIGNATURE"].encode(), body):
        return flask.Response(b'{"error":"unauthorized"}', 401, [("content-type", "application/json")])
    body, sent_at, signature = sealed(id, process(json.loads(body)["job"]))
    headers = [
        ("content-type", "application/json"),
        ("x-nextmq-id", id.decode()),
        ("x-nextmq-timestamp", sent_at.decode()),
        ("x-nextmq-signature", signature.decode()),
    ]
    return flask.Response(body, 200, headers)


def flask_app() -> flask.Flask:
    app = flask.Flask("floor")
    app.add_url_rule("/api/nextmq/<path:path>", view_func=lean_flask_view, methods=["POST"])
    return app
