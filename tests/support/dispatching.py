"""Jobs, and a dispatcher with a real app, for the dispatcher's tests."""

from __future__ import annotations

from aiohttp import web

from nextmq_handler.protocol.messages import Headers
from nextmq_handler.protocol.signing import OUTCOME, Secret, signature_headers
from nextmq_handler.protocol.wire import JobRecord, encode_delivery, parse_delivery
from nextmq_handler.rules.attempts import MAX_FREE_STARTS
from nextmq_server.dispatch.delivery_ids import delivery_id
from nextmq_server.dispatch.dispatcher import AppEndpoint, Dispatcher
from nextmq_server.dispatch.health import Health
from nextmq_server.dispatch.http.client import DeliveryClient
from nextmq_server.dispatch.reports import Report, Reporter
from nextmq_server.engine.queues.job import EngineJob
from nextmq_server.engine.verdicts import Verdict
from nextmq_server.engine.worker.gate import Gate

NOW = 1_790_000_000.25
SECRETS = [Secret(b"old secret" * 4), Secret(b"new secret" * 4)]
ENDPOINT = AppEndpoint("emails", "http://127.0.0.1:1/queues/emails", timeout=30_000, fingerprint="f-1")
WELCOME = {
    "name": "welcome é€😀",
    "data": '{"to": "é€😀@example.com"}',
    "opts": '{"attempts":3,"de":{"id":"a"},"delay":5}',
    "atm": "1",
    "ats": "2",
    "stc": "1",
    "priority": "7",
    "delay": "5",
    "timestamp": "1789999990000",
    "processedOn": "1789999999000",
    "progress": '{"done":0.5}',
    "parent": '{"id":"9","queueKey":"bull:orders"}',
}
DONE = b'{"outcome":"completed","returnValue":{"sent":true}}'


def make_job(**fields: str) -> EngineJob:
    return EngineJob("42", {"name": "welcome", "ats": "1", **fields}, "token")


def delivery_body(endpoint: AppEndpoint, job: EngineJob, delivery_id: str, *, now: float) -> bytes:
    """Return the body that the dispatcher sends; `now` is Unix s."""
    return encode_delivery(
        job,
        job.data,
        id=delivery_id,
        queue=endpoint.queue,
        timeout=endpoint.timeout,
        now=round(now * 1000),
        fingerprint=endpoint.fingerprint,
    )


def parsed(**fields: str) -> JobRecord:
    """Return the job as a receiver reads it."""
    return parse_delivery(delivery_body(ENDPOINT, make_job(**fields), "dlv_1", now=NOW), "dlv_1").job


class App:
    """An app that answers each delivery with the outcome, signed under `secret`."""

    def __init__(self) -> None:
        self.status = 200
        self.outcome = DONE
        self.secret = SECRETS[0]
        self.received: list[tuple[Headers, bytes]] = []

    async def handle(self, request: web.Request) -> web.Response:
        self.received.append((Headers(request.raw_headers), await request.read()))
        id = request.headers["x-nextmq-id"]
        seal = signature_headers([self.secret], id, int(NOW), self.outcome, context=OUTCOME)
        headers = {name.decode(): value.decode() for name, value in seal}
        return web.Response(status=self.status, body=self.outcome, headers=headers)


class Rig:
    """A dispatcher and its app. It records the reports, and the ids of the secrets that signed outcomes."""

    def __init__(self, app: App, url: str, client: DeliveryClient, gate: Gate) -> None:
        self.app = app
        self.endpoint = AppEndpoint("emails", url, timeout=30_000, fingerprint="f-1")
        self.max_free_starts = MAX_FREE_STARTS
        self.secrets = SECRETS
        self.reports: list[Report] = []
        self.signed_by: list[str] = []
        self._client = client
        self._health = Health("emails", gate, clock=lambda: NOW, rand=lambda: 1.0)

    @property
    def delivery_id(self) -> str:
        """The id of the last delivery."""
        return delivery_id("emails", self.job)

    def note_signed(self, secret_id: str) -> None:
        self.signed_by.append(secret_id)

    async def deliver(self, **fields: str) -> Verdict:
        self.job = make_job(**fields)
        dispatcher = Dispatcher(
            self._client,
            self,
            Reporter(self.reports.append),
            max_free_starts=self.max_free_starts,
            clock=lambda: NOW,
        )
        return await dispatcher.deliver(self.endpoint, self._health, self.job)
