"""The protocol in a FastAPI route, under Mangum."""

import json

from fastapi import FastAPI, Request, Response
from mangum import Mangum

from benchmarks.cold.floor import is_authentic, sealed, welcome

app = FastAPI()


@app.post("/api/nextmq/queues/emails")
async def deliver(request: Request) -> Response:
    id, body = request.headers["x-nextmq-id"].encode(), await request.body()
    signature = request.headers["x-nextmq-signature"]
    if not is_authentic(id, request.headers["x-nextmq-timestamp"], signature, body):
        return Response('{"error":"unauthorized"}', 401)
    answer = json.dumps({"outcome": "completed", "returnValue": welcome(json.loads(body)["job"])})
    return Response(answer, headers=sealed(id, answer.encode()))


handler = Mangum(app, "off")
