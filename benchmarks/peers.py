"""The same work with what people use today: frameworks by hand, and other libraries with their own protocols."""

from __future__ import annotations

import base64
import hashlib
import json
import time
import typing as t

import fastapi
import flask
import inngest
import inngest.fast_api
import inngest.flask
import jwt
import pydantic
import qstash
import standardwebhooks
from inngest._internal.net import sign_request
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from .deliveries import KEY, MOUNT, PATH, Sample, filled, rows, sample
from .floor import aprocess, is_authentic, process, sealed

WEBHOOK = "/webhook"
INNGEST = "/api/inngest"
INNGEST_QUERY = "fnId=bench-process&stepId=step"

_QSTASH_KEYS = ("sig_bench_current_key_0123456789abcdef", "sig_bench_next_key_0123456789abcdef")
INNGEST_SIGNING_KEY = "signkey-prod-" + KEY.ljust(32, b".").hex()


class Envelope(pydantic.BaseModel):
    """The body of a delivery, as someone who declares it in FastAPI would."""

    deliveryId: str
    queue: str
    job: dict[str, t.Any]


def _is_authentic(headers: t.Any, body: bytes) -> bool:
    names = ("x-nextmq-id", "x-nextmq-timestamp", "x-nextmq-signature")
    id, sent_at, signature = (headers.get(name, "").encode() for name in names)
    return is_authentic(id, sent_at, signature, body)


def _answer(headers: t.Any, result: object) -> tuple[bytes, dict[str, str]]:
    id = headers["x-nextmq-id"]
    body, sent_at, signature = sealed(id.encode(), result)
    return body, {
        "x-nextmq-id": id,
        "x-nextmq-timestamp": sent_at.decode(),
        "x-nextmq-signature": signature.decode(),
    }


async def _deliver(request: Request) -> Response:
    body = await request.body()
    if not _is_authentic(request.headers, body):
        return JSONResponse({"error": "unauthorized"}, 401)
    content, headers = _answer(request.headers, await aprocess(json.loads(body)["job"]))
    return Response(content, headers=headers, media_type="application/json")


def starlette_route() -> Starlette:
    return Starlette(routes=[Route(MOUNT + PATH, _deliver, methods=["POST"])])


def fastapi_route() -> fastapi.FastAPI:
    app = fastapi.FastAPI()

    @app.post(MOUNT + PATH)
    async def deliver(request: fastapi.Request) -> Response:
        return await _deliver(request)

    return app


def fastapi_declared() -> fastapi.FastAPI:
    app = fastapi.FastAPI()

    async def verified(request: fastapi.Request) -> None:
        if not _is_authentic(request.headers, await request.body()):
            raise fastapi.HTTPException(401)

    @app.post(MOUNT + PATH, dependencies=[fastapi.Depends(verified)])
    async def deliver(request: fastapi.Request, envelope: Envelope) -> Response:
        content, headers = _answer(request.headers, await aprocess(envelope.job))
        return Response(content, headers=headers, media_type="application/json")

    return app


def flask_view() -> flask.Flask:
    app = flask.Flask("view")

    @app.post(MOUNT + PATH)
    def deliver() -> flask.Response:
        body = flask.request.get_data()
        if not _is_authentic(flask.request.headers, body):
            return flask.Response('{"error":"unauthorized"}', 401)
        content, headers = _answer(flask.request.headers, process(json.loads(body)["job"]))
        return flask.Response(content, headers=headers, mimetype="application/json")

    return app


def standardwebhooks_app() -> Starlette:
    """standardwebhooks in a Starlette route."""
    webhook = standardwebhooks.Webhook(KEY)

    async def deliver(request: Request) -> Response:
        try:
            content = webhook.verify(await request.body(), dict(request.headers))
        except standardwebhooks.WebhookVerificationError:
            return JSONResponse({"error": "unauthorized"}, 401)
        return JSONResponse(await aprocess(content["job"]))

    return Starlette(routes=[Route(WEBHOOK, deliver, methods=["POST"])])


def qstash_app() -> Starlette:
    """qstash's Receiver in a Starlette route."""
    receiver = qstash.Receiver(*_QSTASH_KEYS)

    async def deliver(request: Request) -> Response:
        body = (await request.body()).decode()
        try:
            receiver.verify(signature=request.headers["upstash-signature"], body=body)
        except qstash.errors.SignatureError:
            return JSONResponse({"error": "unauthorized"}, 401)
        return JSONResponse(await aprocess(json.loads(body)["job"]))

    return Starlette(routes=[Route(WEBHOOK, deliver, methods=["POST"])])


def standardwebhooks_sample(body: bytes) -> Sample:
    id, now = "msg_bench", time.time()
    text = f"{id}.{int(now)}.".encode() + body
    signature = "v1," + base64.b64encode(hmac_sha256(KEY, text)).decode()
    return sample(
        (("webhook-id", id), ("webhook-timestamp", str(int(now))), ("webhook-signature", signature)), body
    )


def hmac_sha256(key: bytes, text: bytes) -> bytes:
    import hmac

    return hmac.digest(key, text, "sha256")


def qstash_sample(body: bytes) -> Sample:
    now = int(time.time())
    claims = {
        "iss": "Upstash",
        "sub": "https://app.example" + WEBHOOK,
        "exp": now + 300,
        "nbf": now - 10,
        "body": base64.urlsafe_b64encode(hashlib.sha256(body).digest()).decode(),
    }
    return sample((("upstash-signature", jwt.encode(claims, _QSTASH_KEYS[0], "HS256")),), body)


def inngest_fastapi() -> fastapi.FastAPI:
    client = _inngest_client()

    @client.create_function(fn_id="process", trigger=inngest.TriggerEvent(event="welcome"))
    async def run(ctx: inngest.Context) -> dict[str, bool]:
        return await aprocess(ctx.event.data)

    app = fastapi.FastAPI()
    inngest.fast_api.serve(app, client, [run])
    return app


def inngest_flask() -> flask.Flask:
    client = _inngest_client()

    @client.create_function(fn_id="process", trigger=inngest.TriggerEvent(event="welcome"))
    def run(ctx: inngest.ContextSync) -> dict[str, bool]:
        return process(ctx.event.data)

    app = flask.Flask("inngest")
    inngest.flask.serve(app, client, [run])
    return app


def inngest_sample(size: int) -> Sample:
    """Its protocol sends the event's data twice: the total is `size` bytes."""
    event = {"id": "evt_1", "name": "welcome", "ts": 1_790_000_000_000}
    body = filled(
        size,
        lambda count, text: {
            "ctx": {
                "attempt": 0,
                "disable_immediate_execution": True,
                "run_id": "run_1",
                "stack": {"stack": []},
            },
            "event": {**event, "data": {"note": text, "rows": rows(count)}},
            "events": [{**event, "data": {"rows": rows(count)}}],
            "steps": {},
            "use_api": False,
        },
    )
    signature = sign_request(body, INNGEST_SIGNING_KEY)
    assert isinstance(signature, str)
    return sample((("x-inngest-signature", signature), ("x-inngest-server-kind", "cloud")), body)


def _inngest_client() -> inngest.Inngest:
    return inngest.Inngest(app_id="bench", is_production=True, signing_key=INNGEST_SIGNING_KEY)
