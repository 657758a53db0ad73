"""What a receiver of triggers gets, and what its answer means."""

from __future__ import annotations

import asyncio
import json
import typing as t

import httpx
import pytest
import standardwebhooks

from nextmq_handler._package import __version__
from nextmq_handler.protocol.messages import Headers
from nextmq_handler.protocol.signing import parse_secret, read_seal
from nextmq_server.projects.projects import Project
from nextmq_server.redis.keys import ProjectKeys
from nextmq_server.service import Service
from tests.support.raw_http import RawHandler, answering, close_at_once, endless, keep_silent, read_request
from tests.support.triggering import PAYLOAD, Triggering, redis, verify

if t.TYPE_CHECKING:
    from ..conftest import Listen, Serve, WaitUntil

pytestmark = pytest.mark.anyio

HEAD_ALONE = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n"


@pytest.fixture
async def triggers(api: httpx.AsyncClient, serve: Serve, wait_until: WaitUntil) -> Triggering:
    return await Triggering.open(api, serve, wait_until)


async def test_the_standard_webhooks_library_verifies_what_a_receiver_gets(triggers: Triggering) -> None:
    created = await triggers.fired()
    assert verify(created["secret"], triggers.receiver.received[0]) == PAYLOAD


async def test_the_headers_of_the_protocol_are_signed_the_same_way(triggers: Triggering) -> None:
    created = await triggers.fired()
    _, _, headers, body = triggers.receiver.received[0]
    seal = read_seal(
        Headers((name.encode(), value.encode()) for name, value in headers.items()),
        now=int(headers["webhook-timestamp"]),
    )
    assert seal.verify(body, [parse_secret(created["secret"])]) == parse_secret(created["secret"])


async def test_another_trigger_signs_with_another_secret(triggers: Triggering) -> None:
    await triggers.fired()
    other = await triggers.create()
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        verify(other["secret"], triggers.receiver.received[0])


async def test_the_body_is_the_configured_json_and_nothing_else(triggers: Triggering) -> None:
    await triggers.fired()
    assert triggers.receiver.received[0].body == json.dumps(PAYLOAD, separators=(",", ":")).encode()


@pytest.mark.parametrize(
    "payload",
    [None, False, 0, "", [], {}, 10**400, 0.1 + 0.2, "\ud800", {"a": "\x00\n"}, "x" * (256 * 1024 - 2)],
    ids=["null", "false", "0", "empty", "list", "object", "huge", "double", "surrogate", "controls", "256 KiB"],
)
async def test_any_json_is_sent_as_it_is(triggers: Triggering, payload: t.Any) -> None:
    await triggers.fired(payload=payload)
    assert json.loads(triggers.receiver.received[0].body) == payload


async def test_the_request_is_a_post_to_the_url_with_its_query(triggers: Triggering) -> None:
    await triggers.fired()
    assert triggers.receiver.received[0][:2] == ("POST", "/hooks?of=a")


async def test_the_headers_say_json_and_who_sends_it(triggers: Triggering) -> None:
    await triggers.fired()
    headers = triggers.receiver.received[0].headers
    expected = {"content-type": "application/json", "user-agent": f"nextmq-server/{__version__}"}
    assert {name: headers[name] for name in expected} == expected


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
async def test_any_2xx_is_a_success(triggers: Triggering, status: int) -> None:
    triggers.receiver.statuses = [status]
    run = await triggers.last_run((await triggers.fired())["id"])
    assert (run["status"], run["outcome"], run["error"]) == (status, "succeeded", None)


@pytest.mark.parametrize("status", [302, 307, 400, 401, 404, 410, 429, 500, 503])
async def test_any_other_status_is_a_failure(triggers: Triggering, status: int) -> None:
    triggers.receiver.statuses = [status]
    run = await triggers.last_run((await triggers.fired())["id"])
    assert (run["status"], run["outcome"]) == (status, "failed")


async def test_a_redirect_is_not_followed(triggers: Triggering) -> None:
    triggers.receiver.statuses = [307, 200]
    run = await triggers.last_run((await triggers.fired())["id"])
    assert (len(triggers.receiver.received), run["error"]) == (
        1,
        "the receiver answered 307; redirects are never followed",
    )


async def stall_after_head(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    writer.write(HEAD_ALONE)
    await writer.drain()
    await reader.read(-1)


SUCCESSES: dict[str, RawHandler] = {
    "a body without end": endless,
    "a body that never comes": stall_after_head,
    "a body that breaks off": answering(HEAD_ALONE + b"ok"),
    "a body that is no gzip": answering(
        b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 2\r\n\r\nok"
    ),
}
FAILURES: dict[str, RawHandler] = {
    "closed at once": close_at_once,
    "reset": answering(reset=True),
    "no HTTP": answering(b"hello\r\n\r\n"),
    "a head without end": answering(b"HTTP/1.1 200 OK\r\nx: " + b"x" * 200_000),
    "nothing": keep_silent,
}


@pytest.mark.parametrize("handler", SUCCESSES.values(), ids=SUCCESSES)
async def test_what_follows_the_head_of_a_2xx_does_not_matter(
    triggers: Triggering, listen: Listen, handler: RawHandler
) -> None:
    created = await triggers.create(url=f"http://127.0.0.1:{await listen(handler)}/")
    await triggers.post(created["id"], "fire")
    assert (await triggers.last_run(created["id"]))["outcome"] == "succeeded"


@pytest.mark.parametrize("handler", FAILURES.values(), ids=FAILURES)
async def test_what_is_no_answer_in_time_is_a_failure_without_a_status(
    triggers: Triggering, listen: Listen, handler: RawHandler
) -> None:
    created = await triggers.create(url=f"http://127.0.0.1:{await listen(handler)}/", timeout=300)
    await triggers.post(created["id"], "fire")
    run = await triggers.last_run(created["id"])
    assert (run["status"], run["outcome"]) == (None, "failed")


async def test_a_receiver_that_is_not_there_is_a_failure(triggers: Triggering) -> None:
    created = await triggers.create(url="http://127.0.0.1:9/")
    await triggers.post(created["id"], "fire")
    assert (await triggers.last_run(created["id"]))["outcome"] == "failed"


async def test_after_a_rotation_both_secrets_verify_for_a_day(triggers: Triggering, wait_until: WaitUntil) -> None:
    created = await triggers.create()
    rotated = await triggers.post(created["id"], "rotate-secret")
    await triggers.post(created["id"], "fire")
    await wait_until(lambda: triggers.receiver.received)
    for secret in (created["secret"], rotated["secret"]):
        verify(secret, triggers.receiver.received[0])


async def test_a_day_after_a_rotation_the_new_secret_alone_verifies(
    triggers: Triggering, wait_until: WaitUntil, service: Service, project: Project
) -> None:
    created = await triggers.create()
    rotated = await triggers.post(created["id"], "rotate-secret")
    key = ProjectKeys(project.name)("triggers")
    record = json.loads(await redis(service, "HGET", key, created["id"]))
    await redis(service, "HSET", key, created["id"], json.dumps({**record, "previousUntil": 1}))
    await triggers.post(created["id"], "fire")
    await wait_until(lambda: triggers.receiver.received)
    verify(rotated["secret"], triggers.receiver.received[0])
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        verify(created["secret"], triggers.receiver.received[0])
