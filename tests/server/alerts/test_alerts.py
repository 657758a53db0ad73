"""Alerts of a real server: judged over processes, sent to real receivers, tried again, shown without secrets."""

from __future__ import annotations

import asyncio
import logging
import typing as t

import httpx
import pytest
from aiohttp import web
from aiosmtpd.handlers import Message
from aiosmtpd.smtp import SMTP
from standardwebhooks import Webhook

from nextmq_handler.errors import ConfigurationError
from nextmq_server.alerts import alerts as module
from nextmq_server.alerts import rules
from nextmq_server.alerts.mail import MailRelay
from nextmq_server.alerts.rules import DEFAULTS
from nextmq_server.dispatch.egress.rules import EgressRules
from nextmq_server.embedded import EmbeddedValkey
from nextmq_server.projects.projects import Project
from nextmq_server.service import Service
from nextmq_server.workers.registration import Registration
from tests.support.api import JOBS, refusal

if t.TYPE_CHECKING:
    from ..conftest import App, Serve, WaitUntil

pytestmark = pytest.mark.anyio

RULE = "/v1/alerts/rules/slow"
SLOW = {"when": "no_worker", "over": 0, "queues": "emails"}


class Receiver:
    """Receives webhooks at `url`; answers each with the next of `statuses`, then with 200."""

    def __init__(self) -> None:
        self.url = ""
        self.statuses: list[int] = []
        self.requests: list[tuple[dict[str, str], bytes]] = []

    async def handle(self, request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.requests.append((headers, await request.read()))
        return web.Response(status=self.statuses.pop(0) if self.statuses else 200)


@pytest.fixture
async def receiver(serve: Serve) -> Receiver:
    receiver = Receiver()
    receiver.url = await serve(receiver.handle) + "/hooks/a-secret-path"
    return receiver


@pytest.fixture(autouse=True)
def _judge_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "JUDGE_INTERVAL", 3600.0)


async def put(api: httpx.AsyncClient, *channels: dict[str, t.Any], **changes: t.Any) -> dict[str, t.Any]:
    answer = await api.put(RULE, json={**SLOW, "channels": list(channels) or [{"type": "log"}], **changes})
    assert answer.is_success, answer.text
    shown: dict[str, t.Any] = answer.json()
    return shown


async def go_wrong(api: httpx.AsyncClient) -> None:
    """Let a job wait for a worker that there is not."""
    await api.post(JOBS, json={"name": "welcome", "opts": {"jobId": "waits"}})


async def rounds(service: Service, number: int) -> None:
    """Judge so many times, a ms apart or more, and send what is due."""
    for _ in range(number):
        await service.alerts.judge()
        await asyncio.sleep(0.002)
        while await service.alerts.send_due():
            pass


async def alert(api: httpx.AsyncClient) -> dict[str, t.Any]:
    return next(rule for rule in (await api.get("/v1/alerts")).json()["rules"] if rule["name"] == "slow")


def types(receiver: Receiver) -> list[str]:
    return [httpx.Response(200, content=body).json()["type"] for _, body in receiver.requests]


async def test_a_project_has_the_default_rules_which_tell_the_log(api: httpx.AsyncClient) -> None:
    shown = (await api.get("/v1/alerts")).json()["rules"]
    assert {rule["name"] for rule in shown} == set(DEFAULTS)
    assert {channel["type"] for rule in shown for channel in rule["channels"]} == {"log"}


async def test_a_default_rule_that_was_removed_stays_away(
    api: httpx.AsyncClient, service: Service, valkey: EmbeddedValkey, project: Project
) -> None:
    assert (await api.delete("/v1/alerts/rules/held")).json() == {"removed": True}
    other = Service(project, valkey.url)
    await other.start()
    await other.stop(grace=0)
    assert "held" not in {rule["name"] for rule in (await api.get("/v1/alerts")).json()["rules"]}


async def test_it_is_told_when_it_fires_and_when_it_is_over(
    api: httpx.AsyncClient, service: Service, receiver: Receiver
) -> None:
    secret = (await put(api, {"type": "webhook", "url": receiver.url}))["channels"][0]["secret"]
    await go_wrong(api)
    await rounds(service, 4)
    assert (await alert(api))["state"] == "firing"
    await api.delete(f"{JOBS}/waits")
    await rounds(service, 3)
    assert types(receiver) == ["alert.firing", "alert.resolved"]
    headers, body = receiver.requests[0]
    told = Webhook(secret).verify(body, headers)
    assert (told["rule"], told["queues"], told["project"]) == ("slow", ["emails"], service.project.name)
    assert (await alert(api))["state"] == "ok"


async def test_one_of_several_servers_judges_and_the_alert_fires_once(
    api: httpx.AsyncClient, service: Service, receiver: Receiver, valkey: EmbeddedValkey, project: Project
) -> None:
    await put(api, {"type": "webhook", "url": receiver.url})
    await go_wrong(api)
    other = Service(project, valkey.url, egress=EgressRules.for_development())
    await other.start()
    try:
        await asyncio.gather(rounds(service, 4), rounds(other, 4))
    finally:
        await other.stop(grace=0)
    assert types(receiver) == ["alert.firing"]


async def test_a_server_that_is_gone_is_followed_by_another_which_does_not_tell_again(
    api: httpx.AsyncClient, service: Service, receiver: Receiver, valkey: EmbeddedValkey, project: Project
) -> None:
    await put(api, {"type": "webhook", "url": receiver.url})
    await go_wrong(api)
    await rounds(service, 3)
    await service.jobs.scripts("emails").connection.execute("DEL", service.keys("alerts-judge"))  # it lapses
    other = Service(project, valkey.url, egress=EgressRules.for_development())
    await other.start()
    try:
        await api.delete(f"{JOBS}/waits")
        await rounds(other, 3)
    finally:
        await other.stop(grace=0)
    assert types(receiver) == ["alert.firing", "alert.resolved"]


async def test_a_webhook_is_tried_five_times_with_the_same_id(
    api: httpx.AsyncClient,
    service: Service,
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    wait_until: WaitUntil,
) -> None:
    assert sum(module.RETRY_DELAYS) == 600_000
    monkeypatch.setattr(module, "RETRY_DELAYS", (0, 0, 0, 0))
    receiver.statuses = [500] * 6
    await put(api, {"type": "webhook", "url": receiver.url})
    await go_wrong(api)
    await rounds(service, 3)
    await wait_until(lambda: "gave up after 5 tries" in caplog.text)
    assert len({headers["webhook-id"] for headers, _ in receiver.requests}) == 1
    assert len(receiver.requests) == 5
    assert "a-secret-path" not in caplog.text


@pytest.mark.parametrize(("style", "member"), [("slack", "text"), ("discord", "content")])
async def test_chats_get_their_format_without_a_signature(
    api: httpx.AsyncClient, service: Service, receiver: Receiver, style: str, member: str
) -> None:
    shown = await put(api, {"type": "webhook", "url": receiver.url, "format": style})
    await go_wrong(api)
    await rounds(service, 3)
    [(headers, body)] = receiver.requests
    assert 'queue "emails" has 1 job and no worker' in httpx.Response(200, content=body).json()[member]
    assert "webhook-signature" not in headers
    assert "secret" not in shown["channels"][0]


async def test_an_email_comes_through_the_relay(
    valkey: EmbeddedValkey, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    received: list[t.Any] = []

    class Inbox(Message):
        def handle_message(self, message: t.Any) -> None:
            received.append(message)

    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(Inbox()), "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        monkeypatch.setenv("NEXTMQ_SMTP_URL", f"smtp://127.0.0.1:{port}?from=alerts@example.com")
        service = Service(project, valkey.url)
        await service.start()
        try:
            channel = rules.EmailChannel(type="email", to=["ada@example.com"])
            rule = rules.AlertRule(when="held", channels=[channel])
            assert [problem for _, problem in await service.alerts.test("held", rule)] == [None]
        finally:
            await service.stop(grace=0)
    [message] = received
    assert (message["To"], message["Subject"][:13]) == ("ada@example.com", "[test] held: ")


@pytest.mark.parametrize(
    "text",
    ["http://x?from=a@b", "smtp://u:hunter2@h", "smtp://:99999999/?from=a@b", "hunter2", "smtp://?from=a@b"],
)
def test_a_faulty_relay_is_refused_without_its_password(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEXTMQ_SMTP_URL", text)
    with pytest.raises(ConfigurationError, match="NEXTMQ_SMTP_URL must be like") as caught:
        MailRelay.from_environment()
    assert "hunter2" not in str(caught.value)


def test_the_repr_of_a_relay_shows_no_password() -> None:
    assert "hunter2" not in repr(MailRelay("h", 587, False, "u", "hunter2", "a@b"))


async def test_a_test_message_tells_which_channels_work(
    api: httpx.AsyncClient, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.statuses = [404]
    await put(api, {"type": "log"}, {"type": "webhook", "url": receiver.url})
    with caplog.at_level(logging.WARNING, "nextmq_server.alerts"):
        shown = (await api.post(f"{RULE}/test")).json()["channels"]
    assert [(one["type"], one["isSent"]) for one in shown] == [("log", True), ("webhook", False)]
    assert "answered 404" in shown[1]["problem"]
    assert "[test] slow" in caplog.text


async def test_neither_secret_nor_the_path_of_a_url_is_shown_again(
    api: httpx.AsyncClient, receiver: Receiver
) -> None:
    secret = (await put(api, {"type": "webhook", "url": receiver.url}))["channels"][0]["secret"]
    again = await put(api, {"type": "webhook", "url": receiver.url})
    assert "secret" not in again["channels"][0]  # the same URL keeps its secret
    answer = await api.get("/v1/alerts")
    assert [text for text in (secret, "a-secret-path") if text in answer.text] == []


REFUSED: dict[str, tuple[dict[str, t.Any], str]] = {
    "an unknown condition": ({"when": "full_moon"}, "when"),
    "a bound below 0": ({"over": -1}, "over"),
    "an unknown member": ({"ovr": 1}, "ovr"),
    "no channel": ({"channels": []}, "channels"),
    "too many channels": ({"channels": [{"type": "log"}] * 6}, "channels"),
    "an unknown channel": ({"channels": [{"type": "fax"}]}, "channels.0"),
    "an e-mail without a relay": ({"channels": [{"type": "email", "to": ["a@b"]}]}, "NEXTMQ_SMTP_URL"),
    "a recipient with a header": ({"channels": [{"type": "email", "to": ["a@b\nBcc: c@d"]}]}, "channels.0"),
    "a URL that egress forbids": ({"channels": [{"type": "webhook", "url": "http://10.0.0.1/"}]}, "egress"),
    "no URL": ({"channels": [{"type": "webhook", "url": "nonsense"}]}, "URL"),
    "a short secret": (
        {"channels": [{"type": "webhook", "url": "https://a.example", "secret": "whsec_x"}]},
        "channels.0.secret",
    ),
    "minutes of a day": ({"minutes": 1440}, "minutes"),
    "text for a number": ({"over": "5"}, "over"),
}


@pytest.mark.parametrize(("changes", "told"), REFUSED.values(), ids=REFUSED)
async def test_a_rule_that_cannot_work_is_refused(
    api: httpx.AsyncClient, changes: dict[str, t.Any], told: str
) -> None:
    answer = await api.put(RULE, json={**SLOW, **changes})
    assert (answer.status_code, told in answer.text) == (422, True), answer.text


async def test_the_number_of_rules_is_bounded(api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nextmq_server.alerts.store.MAX_RULES", len(DEFAULTS) + 1)
    await put(api)
    await put(api)  # the same one again
    answer = await api.put("/v1/alerts/rules/another", json=SLOW)
    assert refusal(answer) == (422, "too_many_rules")


async def test_a_rule_that_does_not_exist_cannot_be_tested(api: httpx.AsyncClient) -> None:
    assert refusal(await api.post("/v1/alerts/rules/none/test")) == (404, "not_found")


async def test_what_a_removed_rule_found_is_forgotten_without_a_message(
    api: httpx.AsyncClient, service: Service, receiver: Receiver
) -> None:
    await put(api, {"type": "webhook", "url": receiver.url})
    await go_wrong(api)
    await rounds(service, 3)
    await api.delete(RULE)
    await rounds(service, 3)
    assert types(receiver) == ["alert.firing"]
    assert "slow" not in await service.alerts.store.states()


async def test_it_is_told_that_the_memory_of_redis_is_full(
    own_valkey: EmbeddedValkey, project: Project, caplog: pytest.LogCaptureFixture
) -> None:
    service = Service(project, own_valkey.url)
    await service.start()
    redis = service.jobs.scripts("emails").connection
    try:
        await redis.execute("CONFIG", "SET", "maxmemory", "1000000")
        await service.storage.look()
        await rounds(service, 2)
    finally:
        await redis.execute("CONFIG", "SET", "maxmemory", "0")
        await service.stop(grace=0)
    assert "[firing] redis-memory" in caplog.text


async def test_failed_jobs_are_counted(
    service: Service, api: httpx.AsyncClient, app: App, wait_until: WaitUntil
) -> None:
    app.outcome = {"outcome": "failed", "error": {"name": "Error", "message": "no"}}
    await service.workers.register("emails", Registration.model_validate(app.registration()), replace=None)
    await put(api, when="failed", over=0)
    job_id = (await api.post(JOBS, json={"name": "welcome"})).json()["id"]

    async def has_failed() -> bool:
        return bool((await service.jobs.get("emails", job_id))["state"] == "failed")

    await wait_until(has_failed)
    await service.minutes.flush()
    await rounds(service, 1)
    assert (await alert(api))["firings"][0]["text"] == 'queue "emails": 1 job failed in 5 min'
