"""What the library's tests share: signed deliveries, and ways to send them to an ASGI app."""

import asyncio
import base64
import json
import typing as t
from collections.abc import Awaitable, Callable, Sequence

import pytest
from hypothesis import strategies as st
from starlette.types import ASGIApp, Message, Scope

from nextmq_handler import AsyncJob, AsyncQueue, Job, Queue, Worker
from nextmq_handler.asgi import NextMQHandler
from nextmq_handler.protocol.messages import Headers
from nextmq_handler.protocol.signing import parse_secret, signature_headers, verify_outcome
from nextmq_handler.protocol.strict_json import compact
from nextmq_handler.protocol.wire import JobRecord, encode_delivery

NOW = 1_790_000_000
SECRET = "whsec_" + base64.b64encode(b"the secret of these tests").decode()
OTHER_SECRET = "whsec_" + base64.b64encode(b"another secret of the tests").decode()
API_KEY = "nmq_key_0123456789"
URL = f"nextmq://{API_KEY}:{SECRET}@queue.example/shop"
APP_URL = "https://app.example/api/nextmq"
JSON = (b"content-type", b"application/json")

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)

HeaderList = list[tuple[bytes, bytes]]


class Answer(t.NamedTuple):
    status: int
    headers: Headers
    body: bytes

    @property
    def json(self) -> t.Any:
        return json.loads(self.body)


def make_handler(
    worker: Worker,
    *more: Worker,
    clock: Callable[[], float] = lambda: NOW,
    max_threads: int = 40,
    **options: t.Any,
) -> NextMQHandler:
    """Return an app for the workers whose clock stands at NOW, and whose secret is SECRET."""
    options = {"webhook_secrets": SECRET, "clock": clock, **options}
    return NextMQHandler([worker, *more], max_threads=max_threads, **options)


def delivery(**changes: t.Any) -> dict[str, t.Any]:
    """Return a delivery that is valid except for `changes`. Members of `job` are changed one by one."""
    times = {"timestamp": 1_789_999_000_000, "processedOn": 1_790_000_000_000}
    job = JobRecord({"id": "42", "name": "welcome", **times})
    data = compact({"to": "ä@example.com"})
    body = encode_delivery(
        job, data, id="dlv_1", queue="emails", timeout=30_000, now=NOW * 1000, fingerprint="0000"
    )
    content = t.cast("dict[str, t.Any]", json.loads(body))
    if isinstance(changes.get("job"), dict):
        changes["job"] = content["job"] | changes["job"]
    return content | changes


def encode(content: object) -> bytes:
    return json.dumps(content).encode()


def seal(body: bytes, *, id: str = "dlv_1", at: int = NOW, secrets: Sequence[str] = (SECRET,)) -> HeaderList:
    """Return the three signature headers over `body`."""
    return signature_headers([parse_secret(secret) for secret in secrets], id, at, body)


def signed(body: bytes, *, id: str = "dlv_1", at: int = NOW, secrets: Sequence[str] = (SECRET,)) -> HeaderList:
    """All headers of a delivery with `body`."""
    return [JSON, (b"content-length", b"%d" % len(body)), *seal(body, id=id, at=at, secrets=secrets)]


def body_of(*chunks: bytes) -> Callable[[], Awaitable[Message]]:
    """Return a receive that hands out `chunks`, then waits as a server does while the client stays."""
    messages: list[Message] = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    messages = messages or [{"type": "http.request"}]
    messages[-1]["more_body"] = False

    async def receive() -> Message:
        if not messages:
            await asyncio.Event().wait()
        return messages.pop(0)

    return receive


def scope_of(path: str, headers: HeaderList, *, method: str = "POST", **more: t.Any) -> Scope:
    return {"type": "http", "method": method, "path": path, "headers": headers, **more}


async def call(app: ASGIApp, scope: Scope, receive: Callable[[], Awaitable[Message]]) -> Answer | None:
    """Call the app. Return what it sent, None if it sent nothing."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, send)
    if not sent:
        return None
    start, *rest = sent
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    return Answer(start["status"], Headers(start["headers"]), b"".join(m["body"] for m in rest))


async def send(
    app: ASGIApp,
    body: bytes = b"",
    *,
    path: str = "/queues/emails",
    headers: HeaderList | None = None,
    method: str = "POST",
    **scope: t.Any,
) -> Answer:
    """Send one request, by default a POST to queue emails whose body is signed."""
    head = scope_of(path, signed(body) if headers is None else headers, method=method, **scope)
    answer = await call(app, head, body_of(body))
    assert answer is not None
    return answer


async def deliver(app: ASGIApp, content: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
    """Deliver to the app, check the signature of its answer and return the outcome."""
    content = delivery() if content is None else content
    body = encode(content)
    head = signed(body, id=content["deliveryId"])
    answer = await send(app, body, path=f"/queues/{content['queue']}", headers=head)
    assert answer.status == 200, answer
    verify_outcome(answer.headers, answer.body, [parse_secret(SECRET)], delivery_id=content["deliveryId"], now=NOW)
    return t.cast("dict[str, t.Any]", answer.json)


AnyJob = Job[t.Any] | AsyncJob[t.Any]
Body = Callable[[AnyJob], t.Any]


def as_def(body: Body) -> Callable[..., t.Any]:
    return lambda job: body(job)


def as_async_def(body: Body) -> Callable[..., t.Any]:
    async def process(job: AnyJob) -> t.Any:
        return body(job)

    return process


sync_and_async = pytest.mark.parametrize("style", [as_def, as_async_def], ids=["def", "async def"])
Style = Callable[[Body], Callable[..., t.Any]]


async def outcome_of(
    function: Callable[..., t.Any], *, expose_stack: bool = True, **changes: t.Any
) -> dict[str, t.Any]:
    """Return the outcome of a delivery to a worker with this one processor."""
    app = make_handler(Worker("emails", function), expose_stack=expose_stack)
    return await deliver(app, delivery(**changes))


def failed(name: str, message: str, **more: object) -> dict[str, object]:
    """Return the outcome of a failure whose stack is not exposed."""
    return {"outcome": "failed", **more, "error": {"name": name, "message": message, "stack": ""}}


JOBS = "/v1/queues/emails/jobs"
ADDED = {"id": "42", "state": "waiting", "timestamp": 1_790_000_000_000, "deduplicated": False, "job": None}
"""What the server answers for a job of a bulk."""
JOB = {
    "id": "42",
    "name": "welcome",
    "state": "waiting",
    "data": {"to": "ä@example.com"},
    "opts": {"attempts": 3, "keepLogs": 5},
    "progress": 0,
    "attemptsMade": 1,
    "attemptsStarted": 2,
    "stalledCounter": 3,
    "delay": 4,
    "priority": 5,
    "returnValue": None,
    "failedReason": None,
    "stacktrace": [],
    "deliveries": [
        {
            "deliveryId": "dlv_1",
            "at": 1,
            "status": 500,
            "ms": 9,
            "outcome": "failed",
            "detail": "EndpointUnavailable",
        }
    ],
    "parent": {"id": "7", "queue": "reports"},
    "repeatJobKey": None,
    "deduplicationId": None,
    "timestamp": 1_790_000_000_000,
    "processedOn": 1_790_000_000_001,
    "finishedOn": None,
}

Call = Callable[..., Awaitable[t.Any]]


async def with_queue(method: str, *args: t.Any, url: str = URL, **options: t.Any) -> t.Any:
    return getattr(Queue("emails", url=url), method)(*args, **options)


async def with_async_queue(method: str, *args: t.Any, url: str = URL, **options: t.Any) -> t.Any:
    return await getattr(AsyncQueue("emails", url=url), method)(*args, **options)


both_queues = pytest.mark.parametrize("call", [with_queue, with_async_queue], ids=["Queue", "AsyncQueue"])
