"""The protocol in a Starlette route, under Mangum."""

import json

from mangum import Mangum
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from benchmarks.cold.floor import is_authentic, sealed, welcome


async def deliver(request: Request) -> Response:
    id, body = request.headers["x-nextmq-id"].encode(), await request.body()
    signature = request.headers["x-nextmq-signature"]
    if not is_authentic(id, request.headers["x-nextmq-timestamp"], signature, body):
        return Response('{"error":"unauthorized"}', 401)
    answer = json.dumps({"outcome": "completed", "returnValue": welcome(json.loads(body)["job"])})
    return Response(answer, headers=sealed(id, answer.encode()))


handler = Mangum(Starlette(routes=[Route("/api/nextmq/queues/emails", deliver, methods=["POST"])]), "off")
