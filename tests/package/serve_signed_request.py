"""Run in an environment that holds the wheel without extras: serve one signed request, verify the answer."""

from __future__ import annotations

import json
import threading
import time
import typing as t

import httpx
import uvicorn

from nextmq_handler import Job, Worker, create_nextmq_handler
from nextmq_handler.protocol.messages import Headers
from nextmq_handler.protocol.signing import generate_secret, parse_secret, signature_headers, verify_outcome

SECRET = generate_secret()
DELIVERY = {
    "deliveryId": "dlv_1",
    "queue": "greetings",
    "timeout": 10_000,
    "job": {"id": "1", "name": "greet", "data": "world"},
}


def greet(job: Job[str]) -> dict[str, str]:
    return {"hello": job.data}


class Server(uvicorn.Server):
    ready = threading.Event()

    async def startup(self, sockets: t.Any = None) -> None:
        await super().startup(sockets)
        self.ready.set()


handler = create_nextmq_handler([Worker("greetings", greet)], webhook_secrets=[SECRET])
server = Server(uvicorn.Config(handler, port=0, log_level="error", lifespan="off"))
thread = threading.Thread(target=server.run)
thread.start()
assert server.ready.wait(30)
port = server.servers[0].sockets[0].getsockname()[1]

secret, body = parse_secret(SECRET), json.dumps(DELIVERY).encode()
headers = [*signature_headers([secret], "dlv_1", int(time.time()), body), (b"content-type", b"application/json")]
response = httpx.post(f"http://127.0.0.1:{port}/queues/greetings", content=body, headers=headers)
verify_outcome(Headers(response.headers.raw), response.content, [secret], delivery_id="dlv_1", now=time.time())
server.should_exit = True
thread.join()
print(response.status_code, response.json())
