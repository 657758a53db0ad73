"""The paths and methods that the receiver answers, and what every answer looks like."""

import pytest

from nextmq_handler import Worker
from nextmq_handler.asgi import NextMQHandler
from tests.support.handler import delivery, encode, make_handler, send

pytestmark = pytest.mark.anyio

GOOD = encode(delivery())


def make() -> NextMQHandler:
    return make_handler(Worker("emails", lambda job: "done"))


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/queues",
        "/queues/",
        "/queues//emails",
        "/queues/emails/",
        "/queues/emails/jobs",
        "/queues/.",
        "/queues/..",
        "/queues/my emails",
        "/queues/ämails",
        "/queues/emails\n",
        "/queues/" + "x" * 101,
        "/queue/emails",
        "queues/emails",
        "/Queues/emails",
        "/api/queues/emails",
        "/health/",
        "/Health",
        "/healthz",
        "/queues/emails?x=1",
    ],
)
@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_a_path_that_is_not_the_protocols_answers_404(path: str, method: str) -> None:
    answer = await send(make(), GOOD, path=path, method=method)
    assert (answer.status, answer.json) == (404, {"error": "not_found"})


@pytest.mark.parametrize("path", ["/queues/emails", "/queues/unknown"])
@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "post", "POST "])
async def test_a_queue_takes_post_alone(path: str, method: str) -> None:
    answer = await send(make(), GOOD, path=path, method=method)
    assert (answer.status, answer.json, answer.headers.all(b"allow")) == (
        405,
        {"error": "method_not_allowed"},
        [b"POST"],
    )


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
async def test_health_takes_get_and_head_alone(method: str) -> None:
    answer = await send(make(), GOOD, path="/health", method=method)
    assert (answer.status, answer.json, answer.headers.all(b"allow")) == (
        405,
        {"error": "method_not_allowed"},
        [b"GET, HEAD"],
    )


async def test_health_answers_ok() -> None:
    answer = await send(make(), path="/health", method="GET", headers=[])
    assert (answer.status, answer.json) == (200, {"status": "ok"})


@pytest.mark.parametrize(("path", "status"), [("/health", 200), ("/queues/emails", 405), ("/", 404)])
async def test_the_answer_to_head_has_no_body(path: str, status: int) -> None:
    answer = await send(make(), path=path, method="HEAD", headers=[])
    assert (answer.status, answer.body) == (status, b"")


async def test_the_answer_to_head_does_not_say_that_a_get_would_be_empty() -> None:
    answer = await send(make(), path="/health", method="HEAD", headers=[])
    assert answer.headers.all(b"content-length") == []


async def test_an_answer_says_its_type_and_length() -> None:
    answer = await send(make(), path="/", method="GET")
    assert (answer.headers.all(b"content-type"), answer.headers.all(b"content-length")) == (
        [b"application/json"],
        [b"%d" % len(answer.body)],
    )
