"""Where deliveries may go: whatever a URL or a name server claims, nothing reaches this machine."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import subprocess
import sys
import typing as t
from ipaddress import ip_network
from pathlib import Path

import httpx
import pytest

from nextmq_server.dispatch.egress.resolver import ask_system
from nextmq_server.dispatch.egress.rules import EgressRules
from nextmq_server.dispatch.http.answers import AppAnswer, NoAnswer
from nextmq_server.dispatch.http.client import DeliveryClient
from nextmq_server.embedded import EmbeddedValkey
from nextmq_server.engine.verdicts import Hold
from nextmq_server.engine.worker.gate import Gate
from nextmq_server.projects.projects import Project
from nextmq_server.service import Service
from tests.support.api import WORKER, registration
from tests.support.dispatching import App, Rig
from tests.support.egress import SPELLINGS, NameServer, Trap
from tests.support.raw_http import CERTIFICATE, OK, Recorder, close_at_once
from tests.support.rest_api import rest_api

if t.TYPE_CHECKING:
    from ...conftest import Listen, Serve

pytestmark = pytest.mark.anyio

# What plain http may reach is none of the targets, and keeps http from being refused for its scheme alone.
STRICT = EgressRules(allowed=[ip_network("192.0.2.0/24")])
THIS_MACHINE = ip_network("127.0.0.1/32")
NAME = "hooks.example"
PUBLIC = "93.184.215.14"


@pytest.fixture
def trap() -> t.Iterator[Trap]:
    with contextlib.ExitStack() as stack:
        yield Trap(stack)


class Send(t.Protocol):
    async def __call__(
        self, url: str, rules: EgressRules = ..., *, names: NameServer | None = ...
    ) -> AppAnswer | NoAnswer: ...


@pytest.fixture
async def send() -> t.AsyncIterator[Send]:
    """Send one delivery under the rules, with the given name server if any."""
    clients: list[DeliveryClient] = []

    async def send(
        url: str, rules: EgressRules = STRICT, *, names: NameServer | None = None
    ) -> AppAnswer | NoAnswer:
        clients.append(DeliveryClient(rules, resolver=names.resolve if names else ask_system))
        return await clients[-1].send(url, {}, b"{}", timeout=60, max_size=1000)

    yield send
    for client in clients:
        await client.close()


def refusal(answer: AppAnswer | NoAnswer) -> str:
    """Return why nothing was sent."""
    assert isinstance(answer, NoAnswer), answer
    assert answer.kind == "not_sent"
    return answer.detail


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=SPELLINGS)
async def test_no_spelling_reaches_this_machine(send: Send, trap: Trap, scheme: str, spelling: str) -> None:
    names = NameServer(["127.0.0.1"])  # whatever the name
    refusal(await send(f"{scheme}://{spelling.format(port=trap.port)}", names=names))
    assert not trap.was_reached()


async def test_the_systems_own_localhost_is_refused(send: Send, trap: Trap) -> None:
    refusal(await send(f"https://localhost:{trap.port}/"))
    assert not trap.was_reached()


SCHEMES = {
    "one slash": "https:/127.0.0.1:{port}/",
    "no slash": "https:127.0.0.1:{port}",
    "three slashes": "https:///127.0.0.1:{port}/",
    "no scheme": "//127.0.0.1:{port}/",
    "backslashes": "https:\\\\127.0.0.1:{port}\\",
    "a line break in the scheme": "ht\ntps://127.0.0.1:{port}/",
    "a space before": " https://127.0.0.1:{port}/",
    "ws": "ws://127.0.0.1:{port}/",
    "tcp": "tcp://127.0.0.1:{port}/",
    "ftp": "ftp://127.0.0.1:{port}/",
    "gopher": "gopher://127.0.0.1:{port}/_x",
    "file": "file:///etc/passwd",
    "unix": "http+unix://%2Frun%2Fdocker.sock/",
    "data": "data:text/plain,hello",
}


@pytest.mark.parametrize("url", SCHEMES.values(), ids=SCHEMES)
async def test_nothing_but_http_urls_are_requested(send: Send, trap: Trap, url: str) -> None:
    refusal(await send(url.format(port=trap.port), EgressRules.for_development()))
    assert not trap.was_reached()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
async def test_development_reaches_this_machine(send: Send, trap: Trap, host: str) -> None:
    if host == "[::1]" and not trap.has_ipv6:
        pytest.skip("no IPv6 here")
    sending = asyncio.ensure_future(send(f"http://{host}:{trap.port}/", EgressRules.for_development()))
    await trap.reached()
    sending.cancel()


MIXED = {
    "loopback last": [PUBLIC, "127.0.0.1"],
    "loopback first": ["127.0.0.1", PUBLIC],
    "IPv6 loopback": [PUBLIC, "::1"],
    "mapped": [PUBLIC, "::ffff:127.0.0.1"],
    "link-local with a zone": [PUBLIC, "fe80::1%lo"],
    "metadata": [PUBLIC, "169.254.169.254"],
    "one of many": [*[PUBLIC] * 50, "10.0.0.1"],
}


@pytest.mark.parametrize("addresses", MIXED.values(), ids=MIXED)
async def test_one_forbidden_address_refuses_the_name(send: Send, addresses: list[str]) -> None:
    assert "--allow-egress" in refusal(await send(f"https://{NAME}/", names=NameServer(addresses)))


async def test_a_mixed_answer_reaches_not_even_what_is_allowed(send: Send, trap: Trap) -> None:
    names = NameServer(["127.0.0.1", "10.0.0.1"])
    rules = EgressRules(allowed=[THIS_MACHINE])
    refusal(await send(f"http://{NAME}:{trap.port}/", rules, names=names))
    assert not trap.was_reached()


async def test_a_name_is_resolved_once_and_the_checked_address_connected_to(send: Send, listen: Listen) -> None:
    recorder = Recorder(OK + b"content-length: 0\r\n\r\n")
    names = NameServer(["127.0.0.1"], ["10.0.0.1"])
    rules = EgressRules(allowed=[THIS_MACHINE])
    answer = await send(f"http://{NAME}:{await listen(recorder)}/", rules, names=names)
    assert (isinstance(answer, AppAnswer), len(recorder.requests), names.questions) == (True, 1, [NAME])


async def test_a_name_that_is_bound_anew_is_checked_anew(send: Send, trap: Trap) -> None:
    names = NameServer(["192.0.2.1"], ["127.0.0.1"])
    url = f"https://{NAME}:{trap.port}/"
    first = refusal(await send(url, EgressRules(), names=names))
    second = refusal(await send(url, EgressRules(), names=names))
    assert ("192.0.2.1" in first, "127.0.0.1" in second, trap.was_reached()) == (True, True, False)


async def test_a_name_without_an_address_was_not_sent(send: Send) -> None:
    assert "has no address" in refusal(await send(f"https://{NAME}/", names=NameServer([])))


async def test_a_request_has_the_host_of_the_name(send: Send, listen: Listen) -> None:
    recorder = Recorder(OK + b"content-length: 0\r\n\r\n")
    port = await listen(recorder)
    rules = EgressRules(allowed=[THIS_MACHINE])
    await send(f"http://{NAME}:{port}/", rules, names=NameServer(["127.0.0.1"]))
    assert recorder.requests[0].headers.all(b"host") == [f"{NAME}:{port}".encode()]


async def test_a_handshake_asks_for_the_name(send: Send, tmp_path: Path) -> None:
    (tmp_path / "certificate.pem").write_text(CERTIFICATE)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "certificate.pem")
    asked_for: list[str | None] = []

    def note(connection: ssl.SSLObject | ssl.SSLSocket, name: str | None, context: ssl.SSLContext) -> None:
        asked_for.append(name)

    context.sni_callback = note
    server = await asyncio.start_server(close_at_once, "127.0.0.1", 0, ssl=context)
    rules, names = EgressRules(allowed=[THIS_MACHINE]), NameServer(["127.0.0.1"])
    async with server:
        await send(f"https://{NAME}:{server.sockets[0].getsockname()[1]}/", rules, names=names)
    assert asked_for == [NAME]


async def test_a_proxy_of_the_environment_is_not_used(
    send: Send, listen: Listen, trap: Trap, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{trap.port}")
        monkeypatch.setenv(name.upper(), f"http://127.0.0.1:{trap.port}")
    port = await listen(Recorder(OK + b"content-length: 0\r\n\r\n"))
    await send(f"http://127.0.0.1:{port}/", EgressRules.for_development())
    assert not trap.was_reached()


async def test_a_refused_name_is_told_why(send: Send) -> None:
    detail = refusal(await send(f"https://{NAME}/", names=NameServer(["10.0.0.5"])))
    assert detail == f"the address 10.0.0.5 of {NAME} is private: allow it with --allow-egress 10.0.0.0/8"


async def test_a_job_whose_target_is_refused_is_held(serve: Serve, gate: Gate) -> None:
    client, app = DeliveryClient(EgressRules()), App()
    verdict = await Rig(app, await serve(app.handle), client, gate).deliver()
    await client.close()
    assert verdict == Hold(1.0, "the address 127.0.0.1 is loopback: allow it with --allow-egress 127.0.0.0/8")


def test_the_command_refuses_what_is_no_network(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "nextmq_server", "dev", "--data-dir", str(tmp_path / "data")]
    command += ["--allow-egress", "10.0.0.0/8", "--allow-egress", "10.0.0.1/8"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, "'10.0.0.1/8' is not a network" in ended.stderr) == (1, True)


@pytest.fixture
async def strict_api(valkey: EmbeddedValkey, project: Project) -> t.AsyncIterator[httpx.AsyncClient]:
    """Return the API of a service with the default egress rules."""
    service = Service(project, valkey.url)
    await service.start()
    headers = {"authorization": f"Bearer {project.api_key}"}
    transport = httpx.ASGITransport(rest_api(service))
    async with httpx.AsyncClient(transport=transport, base_url="http://server.example", headers=headers) as api:
        yield api
    await service.stop(grace=0)


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/", "https://10.0.0.5/", "http://hooks.example/"])
async def test_a_worker_whose_url_is_refused_is_not_registered(
    strict_api: httpx.AsyncClient, project: Project, url: str
) -> None:
    answer = await strict_api.put(WORKER, json=registration(project, url=url))
    assert (answer.status_code, (await strict_api.get(WORKER)).status_code) == (422, 404)


async def test_a_trigger_whose_url_is_refused_is_not_created(strict_api: httpx.AsyncClient) -> None:
    trigger = {"url": "https://10.0.0.5/", "payload": None, "repeat": {"every": 3_600_000}}
    answer = await strict_api.post("/v1/triggers", json=trigger)
    assert (answer.status_code, (await strict_api.get("/v1/triggers")).json()) == (422, {"triggers": []})
