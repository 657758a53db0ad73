"""The app of benchmarks/soak.py: `python -m benchmarks.soak_receiver`. It prints its port.

The name of a job decides how its delivery ends.
"""

from __future__ import annotations

import asyncio
import json
import time
import typing as t

import httptools
import uvloop

from nextmq_handler.protocol.signing import OUTCOME, Secret, signature_headers

from .deliveries import KEY

COMPLETED: dict[str, t.Any] = {"outcome": "completed", "returnValue": {"ok": True}}
FAILED: dict[str, t.Any] = {
    "outcome": "failed",
    "error": {"name": "ValueError", "message": "no", "stack": "x" * 500},
}


def outcome_of(job: dict[str, t.Any]) -> dict[str, t.Any]:
    """Return the outcome of the job."""
    is_first = job["attemptsStarted"] == 1
    match job["name"]:
        case "fails":
            return FAILED
        case "fails once" if is_first:
            return FAILED
        case "comes later" if is_first:
            return {"outcome": "delayed", "timestamp": round(time.time() * 1000) + 50}
        case "limits" if is_first:
            return {"outcome": "rateLimited", "delay": 5}
        case _:
            return COMPLETED


class Receiver(asyncio.Protocol):
    """One connection."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = t.cast("asyncio.Transport", transport)
        self._parser = httptools.HttpRequestParser(self)
        self._body = bytearray()
        self._id = ""

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"x-nextmq-id":
            self._id = value.decode()

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        job = json.loads(self._body)["job"]
        self._body.clear()
        match job["name"]:
            case "gets no answer":
                return
            case "breaks":
                self._transport.abort()
                return
        body = json.dumps(outcome_of(job)).encode()
        headers = signature_headers([Secret(KEY)], self._id, int(time.time()), body, context=OUTCOME)
        head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n" % len(body)
        self._transport.write(head + b"".join(b"%s: %s\r\n" % header for header in headers) + b"\r\n" + body)


async def main() -> None:
    server = await asyncio.get_running_loop().create_server(Receiver, "127.0.0.1", 0, backlog=1024)
    print("port", server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
