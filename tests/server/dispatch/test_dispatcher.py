"""The dispatcher: what it sends for a job, under which signatures, and what it makes of the answer."""

from __future__ import annotations

import json
import typing as t
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextmq_handler._package import __version__
from nextmq_handler.protocol.outcomes import Completed, Failed
from nextmq_handler.protocol.signing import Secret, read_seal, signature_headers
from nextmq_handler.protocol.wire import MAX_OUTCOME_SIZE, parse_delivery
from nextmq_server.dispatch.dispatcher import Dispatcher
from nextmq_server.dispatch.egress.rules import EgressRules
from nextmq_server.dispatch.http.client import DeliveryClient
from nextmq_server.dispatch.reports import Report, Reporter
from nextmq_server.engine.queues.job import EngineJob
from nextmq_server.engine.verdicts import Hold, Verdict
from nextmq_server.engine.worker.gate import Gate
from tests.support.dispatching import (
    DONE,
    ENDPOINT,
    NOW,
    SECRETS,
    WELCOME,
    App,
    Rig,
    delivery_body,
    make_job,
    parsed,
)
from tests.support.raw_http import keep_silent

if t.TYPE_CHECKING:
    from ..conftest import Listen, Serve


@pytest.fixture
async def client() -> t.AsyncIterator[DeliveryClient]:
    client = DeliveryClient(EgressRules.for_development())
    yield client
    await client.close()


@pytest.fixture
async def rig(serve: Serve, client: DeliveryClient, gate: Gate) -> Rig:
    app = App()
    return Rig(app, await serve(app.handle) + "/queues/emails", client, gate)


def test_a_delivery_holds_every_field_of_the_protocol() -> None:
    job = {
        "id": "42",
        "name": "welcome é€😀",
        "data": {"to": "é€😀@example.com"},
        "opts": {"attempts": 3, "deduplication": {"id": "a"}, "delay": 5},
        "attemptsMade": 1,
        "attemptsStarted": 2,
        "stalledCounter": 1,
        "priority": 7,
        "delay": 5,
        "timestamp": 1_789_999_990_000,
        "processedOn": 1_789_999_999_000,
        "progress": {"done": 0.5},
        "parent": {"id": "9", "queue": "orders"},
    }
    assert json.loads(delivery_body(ENDPOINT, make_job(**WELCOME), "dlv_1", now=NOW)) == {
        "deliveryId": "dlv_1",
        "queue": "emails",
        "timeout": 30_000,
        "deadline": 1_790_000_030_250,
        "maxOutcomeBytes": MAX_OUTCOME_SIZE,
        "worker": {"fingerprint": "f-1"},
        "job": job,
    }


def test_a_job_with_hardly_a_field_makes_a_delivery() -> None:
    body = delivery_body(ENDPOINT, EngineJob("1", {}, "token"), "dlv_1", now=NOW)
    job = parse_delivery(body, "dlv_1").job
    assert (job.name, job.data, job.opts, job.progress, job.parent) == ("", None, {}, 0, None)


DATA_TEXTS = {
    "spaces": b'{ "b" :1,\n\t"a": [ ] }',
    "unicode": '{"é":"€😀\u2028"}'.encode(),
    "escapes": rb'{"\u00e9":"\ud83d\ude00\/\ud800"}',
    "numbers": b"[1.10,1e2,-0,123456789012345678901234567890]",
    "a member twice": b'{"a":1,"a":2}',
    "a text": b'"hello"',
}


@pytest.mark.parametrize("text", DATA_TEXTS.values(), ids=DATA_TEXTS)
def test_the_data_is_passed_through_byte_for_byte(text: bytes) -> None:
    job = make_job(data=text.decode("utf-8", "surrogateescape"))
    assert delivery_body(ENDPOINT, job, "dlv_1", now=NOW).endswith(b'"data":' + text + b"}}")


COUNTS = {
    "atm": "attempts_made",
    "ats": "attempts_started",
    "stc": "stalled_counter",
    "priority": "priority",
    "delay": "delay",
    "timestamp": "timestamp",
    "processedOn": "processed_on",
}
queue_names = st.from_regex(r"[A-Za-z0-9._~-]{1,100}", fullmatch=True)
parents = st.none() | st.tuples(st.text(), queue_names, st.text())
counts = st.fixed_dictionaries({}, optional=dict.fromkeys(COUNTS, st.integers(0, 2**53)))


@given(name=st.text(), counts=counts)
def test_a_receiver_reads_the_numbers_and_the_name(name: str, counts: dict[str, int]) -> None:
    job = parsed(name=name, **{key: str(value) for key, value in counts.items()})
    expected = {attribute: counts.get(key, key == "ats") for key, attribute in COUNTS.items()}
    assert {"name": name, **expected} == {key: getattr(job, key) for key in ("name", *expected)}


@given(data=st.data(), is_ascii=st.booleans())
def test_a_receiver_reads_the_data_and_the_progress(
    json_values: st.SearchStrategy[t.Any], data: st.DataObject, is_ascii: bool
) -> None:
    value, progress = data.draw(json_values), data.draw(json_values)
    text = json.dumps(value, ensure_ascii=is_ascii)
    job = parsed(data=text, progress=json.dumps(progress))
    assert (job.data, job.progress) == (value, progress)


@given(parent=parents)
def test_a_receiver_reads_the_parent_of_a_flow(parent: tuple[str, str, str] | None) -> None:
    fields = {}
    if parent is not None:
        id, queue, prefix = parent
        fields["parent"] = json.dumps({"id": id, "queueKey": f"{prefix}:{queue}"})
    assert parsed(**fields).parent == (None if parent is None else {"id": parent[0], "queue": parent[1]})


@pytest.mark.anyio
async def test_a_signed_outcome_completes_the_job(rig: Rig) -> None:
    assert await rig.deliver() == Completed({"sent": True})


@pytest.mark.anyio
@pytest.mark.parametrize("secret", SECRETS, ids=["old", "new"])
async def test_an_outcome_is_taken_under_every_active_secret(rig: Rig, secret: Secret) -> None:
    rig.app.secret = secret
    assert isinstance(await rig.deliver(), Completed)


@pytest.mark.anyio
async def test_an_outcome_under_another_secret_is_none(rig: Rig) -> None:
    rig.app.secret = Secret(b"other secret" * 4)
    verdict = await rig.deliver()
    assert isinstance(verdict, Failed)
    assert verdict.name == "InvalidOutcome"


@pytest.mark.anyio
@pytest.mark.parametrize("secret", SECRETS, ids=["old", "new"])
async def test_a_delivery_is_signed_under_every_active_secret(rig: Rig, secret: Secret) -> None:
    await rig.deliver(**WELCOME)
    [(headers, body)] = rig.app.received
    assert read_seal(headers, now=NOW, tolerance=0).verify(body, [secret]) == secret


@pytest.mark.anyio
async def test_the_body_is_the_delivery(rig: Rig) -> None:
    await rig.deliver(**WELCOME)
    expected = delivery_body(rig.endpoint, make_job(**WELCOME), rig.delivery_id, now=NOW)
    assert rig.app.received[0][1] == expected


@pytest.mark.anyio
async def test_the_headers_are_those_of_the_protocol(rig: Rig) -> None:
    await rig.deliver()
    [(headers, body)] = rig.app.received
    expected = {
        b"host": rig.endpoint.url.split("/")[2].encode(),
        b"content-type": b"application/json",
        b"content-length": b"%d" % len(body),
        b"accept-encoding": b"identity",
        b"user-agent": f"nextmq-server/{__version__}".encode(),
        **dict(signature_headers(SECRETS, rig.delivery_id, int(NOW), body)),
    }
    assert sorted(headers.items) == sorted(expected.items())


@pytest.mark.anyio
@pytest.mark.parametrize("data", ['1,"name":"admin","id":"999"', "hello", '"\udcff"'])
async def test_data_that_is_not_json_fails_the_job_and_sends_nothing(rig: Rig, data: str) -> None:
    verdict = await rig.deliver(data=data)
    assert isinstance(verdict, Failed)
    assert (verdict.name, verdict.unrecoverable, rig.app.received) == ("InvalidData", True, [])


@pytest.mark.anyio
@pytest.mark.parametrize(("atm", "ats"), [("0", "101"), ("3", "104"), ("0", "500")])
async def test_after_100_free_starts_a_job_fails_for_good(rig: Rig, atm: str, ats: str) -> None:
    verdict = await rig.deliver(atm=atm, ats=ats)
    assert isinstance(verdict, Failed)
    assert (verdict.name, verdict.unrecoverable) == ("TooManyStarts", True)


@pytest.mark.anyio
async def test_after_100_free_starts_nothing_is_sent(rig: Rig) -> None:
    await rig.deliver(atm="0", ats="101")
    assert rig.app.received == []


@pytest.mark.anyio
@pytest.mark.parametrize(("atm", "ats"), [("0", "100"), ("99", "199"), ("100", "101")])
async def test_before_100_free_starts_a_job_is_sent(rig: Rig, atm: str, ats: str) -> None:
    assert isinstance(await rig.deliver(atm=atm, ats=ats), Completed)


@pytest.mark.anyio
@pytest.mark.parametrize(("ats", "verdict"), [("3", Completed), ("4", Failed)])
async def test_how_many_starts_are_free_can_be_chosen(rig: Rig, ats: str, verdict: type[Verdict]) -> None:
    rig.max_free_starts = 3
    assert isinstance(await rig.deliver(ats=ats), verdict)


@pytest.mark.anyio
async def test_the_secret_that_signed_an_outcome_is_noted(rig: Rig) -> None:
    rig.app.secret = SECRETS[1]
    await rig.deliver()
    assert rig.signed_by == [SECRETS[1].id]


@pytest.mark.anyio
async def test_an_answer_that_is_no_outcome_notes_no_secret(rig: Rig) -> None:
    rig.app.status = 400
    await rig.deliver()
    assert rig.signed_by == []


@pytest.mark.anyio
async def test_a_report_tells_of_the_delivery(rig: Rig) -> None:
    await rig.deliver(**WELCOME)
    [report] = rig.reports
    assert report._replace(duration=0.0, sent_at=0) == Report(
        queue="emails",
        job_id="42",
        job_name="welcome é€😀",
        attempt=2,
        delivery_id=rig.delivery_id,
        status=200,
        verdict=Completed({"sent": True}),
        duration=0.0,
        is_final=False,
        sent_at=0,
        is_signed=True,
    )


FINAL = {
    "completed": (200, b'{"outcome":"completed"}', "0", False),
    "failed, attempts remain": (200, b'{"outcome":"failed"}', "1", False),
    "failed, the last attempt": (200, b'{"outcome":"failed"}', "2", True),
    "unrecoverable": (200, b'{"outcome":"failed","unrecoverable":true}', "0", True),
    "rate-limited": (200, b'{"outcome":"rateLimited","delay":5}', "2", False),
    "refused": (400, b"", "0", True),
    "the app is away": (404, b"", "2", False),
    "the app is broken": (500, b"", "2", True),
}


@pytest.mark.anyio
@pytest.mark.parametrize(("status", "outcome", "atm", "is_final"), FINAL.values(), ids=FINAL)
async def test_a_report_tells_whether_the_job_has_failed_for_good(
    rig: Rig, status: int, outcome: bytes, atm: str, is_final: bool
) -> None:
    rig.app.status, rig.app.outcome = status, outcome
    await rig.deliver(opts='{"attempts":3}', atm=atm)
    assert [report.is_final for report in rig.reports] == [is_final]


@pytest.mark.anyio
async def test_a_report_of_no_answer_has_no_status(rig: Rig) -> None:
    rig.endpoint = replace(rig.endpoint, url="http://nobody.invalid/queues/emails")
    await rig.deliver()
    assert [report.status for report in rig.reports] == [None]


@pytest.mark.anyio
async def test_an_app_that_is_not_there_holds_its_queue(rig: Rig) -> None:
    rig.endpoint = replace(rig.endpoint, url="http://nobody.invalid/queues/emails")
    assert isinstance(await rig.deliver(), Hold)


@pytest.mark.anyio
async def test_the_timeout_of_the_endpoint_ends_a_delivery(rig: Rig, listen: Listen) -> None:
    rig.endpoint = replace(rig.endpoint, url=f"http://127.0.0.1:{await listen(keep_silent)}/", timeout=200)
    verdict = await rig.deliver()
    assert isinstance(verdict, Failed)
    assert verdict.name == "DeliveryTimeout"


@pytest.mark.anyio
@pytest.mark.parametrize(("size", "expected"), [(MAX_OUTCOME_SIZE, Completed), (MAX_OUTCOME_SIZE + 1, Failed)])
async def test_an_outcome_is_taken_up_to_the_limit(rig: Rig, size: int, expected: type[Verdict]) -> None:
    rig.app.outcome = DONE.ljust(size)
    assert type(await rig.deliver()) is expected


Told = tuple[str, str, str]


async def heard(rig: Rig, signers: t.Sequence[tuple[str, int]]) -> list[Told]:
    """Deliver to these queues, signed by secrets of these numbers. Return what is told of the outcomes."""
    told: list[Told] = []
    dispatcher = Dispatcher(
        rig._client, rig, Reporter(), heard=lambda *outcome: told.append(outcome), clock=lambda: NOW
    )
    for queue, number in signers:
        rig.app.secret = SECRETS[number]
        endpoint = replace(rig.endpoint, queue=queue)
        assert isinstance(await dispatcher.deliver(endpoint, rig._health, make_job()), Completed)
    return told


A, B = SECRETS[0].id, SECRETS[1].id
HEARD: dict[str, tuple[list[tuple[str, int]], list[Told]]] = {
    "one": ([("q", 0)], [("q", "f-1", A)]),
    "the same": ([("q", 0)] * 5, [("q", "f-1", A)]),
    "another secret": ([("q", 0), ("q", 1)], [("q", "f-1", A), ("q", "f-1", B)]),
    "back again": ([("q", 0), ("q", 1), ("q", 0)], [("q", "f-1", A), ("q", "f-1", B), ("q", "f-1", A)]),
    "another queue": ([("q", 0), ("r", 0), ("q", 0)], [("q", "f-1", A), ("r", "f-1", A)]),
    "queues and secrets": ([("q", 0), ("r", 1), ("q", 0), ("r", 1)], [("q", "f-1", A), ("r", "f-1", B)]),
}


@pytest.mark.anyio
@pytest.mark.parametrize(("signers", "expected"), HEARD.values(), ids=HEARD)
async def test_who_answers_is_told_when_that_changes(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, signers: list[tuple[str, int]], expected: list[Told]
) -> None:
    monkeypatch.setattr("nextmq_server.dispatch.dispatcher.TELL_INTERVAL", 3600.0)
    assert await heard(rig, signers) == expected
    assert rig.signed_by == [secret for _, _, secret in expected]


@pytest.mark.anyio
async def test_who_answers_is_told_again_after_the_interval(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nextmq_server.dispatch.dispatcher.TELL_INTERVAL", 0.0)
    assert await heard(rig, [("q", 0)] * 3) == [("q", "f-1", A)] * 3
