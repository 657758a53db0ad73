"""Adding once: the idempotency key, and what is known after an add has failed."""

from __future__ import annotations

import typing as t

import httpx
import pytest
import respx

from nextmq_handler import (
    ConfigurationError,
    QueueFullError,
)
from tests.support.client import Kind, both_kinds, flows_of, queue_of, value_of
from tests.support.client_failures import MAYBE_SENT, NOT_SENT, REPEATABLE, Failure, answer, attempt, scripted
from tests.support.handler import JOBS

pytestmark = pytest.mark.anyio


@both_kinds
@pytest.mark.parametrize(
    "call",
    [
        ("add", ("welcome",)),
        ("add_bulk", ([{"name": "welcome"}],)),
    ],
    ids=["add", "add_bulk"],
)
async def test_every_attempt_of_an_add_carries_one_idempotency_key(
    kind: Kind, call: tuple[str, t.Any], server: respx.MockRouter
) -> None:
    route = scripted(server, httpx.ReadTimeout, answer(503))
    await value_of(getattr(queue_of(kind), call[0])(*call[1]))
    assert [each.request.headers["idempotency-key"] for each in route.calls] == ["key-1"] * 3


@both_kinds
async def test_every_attempt_of_a_flow_carries_one_idempotency_key(kind: Kind, server: respx.MockRouter) -> None:
    route = scripted(server, httpx.ReadTimeout, answer(503))
    await value_of(flows_of(kind).add({"name": "a", "queue_name": "emails"}))
    assert [each.request.headers["idempotency-key"] for each in route.calls] == ["key-1"] * 3


@both_kinds
async def test_two_adds_have_two_idempotency_keys(kind: Kind, server: respx.MockRouter) -> None:
    route = scripted(server)
    for _ in range(2):
        await value_of(queue_of(kind).add("welcome"))
    assert [each.request.headers["idempotency-key"] for each in route.calls] == ["key-1", "key-2"]


@both_kinds
@pytest.mark.parametrize("name", ["add", "add_bulk", "flow add", "flow add_bulk"])
async def test_the_callers_own_idempotency_key_is_sent(kind: Kind, name: str, server: respx.MockRouter) -> None:
    make, method, args = REPEATABLE[name]
    route = scripted(server)
    await value_of(getattr(make(kind), method)(*args, idempotency_key="order-7"))
    assert route.calls.last.request.headers["idempotency-key"] == "order-7"


@both_kinds
@pytest.mark.parametrize("key", ["", "a b", "ä", "\n", "x" * 129, 5])
async def test_an_idempotency_key_that_no_header_can_carry_is_refused(kind: Kind, key: t.Any) -> None:
    with pytest.raises(ConfigurationError, match="idempotency_key takes 1 to 128"):
        await value_of(queue_of(kind).add("welcome", idempotency_key=key))


@both_kinds
async def test_a_call_that_adds_nothing_carries_no_idempotency_key(kind: Kind, server: respx.MockRouter) -> None:
    route = scripted(server)
    await value_of(queue_of(kind).pause())
    assert "idempotency-key" not in route.calls.last.request.headers


@both_kinds
@pytest.mark.parametrize("failure", MAYBE_SENT.values(), ids=MAYBE_SENT)
async def test_an_add_that_may_have_happened_tells_how_to_repeat_it(
    kind: Kind, failure: Failure, server: respx.MockRouter
) -> None:
    server.post(JOBS).mock(
        return_value=failure if isinstance(failure, httpx.Response) else None,
        side_effect=None if isinstance(failure, httpx.Response) else failure,
    )
    error: t.Any = await attempt(REPEATABLE["add"], kind)
    assert "whether anything was added is not known: calling again with idempotency_key='key-1'" in str(error)
    assert error.idempotency_key == "key-1"


@both_kinds
@pytest.mark.parametrize("failure", NOT_SENT.values(), ids=NOT_SENT)
async def test_an_add_that_did_not_happen_says_so(kind: Kind, failure: Failure, server: respx.MockRouter) -> None:
    server.post(JOBS).mock(
        return_value=failure if isinstance(failure, httpx.Response) else None,
        side_effect=None if isinstance(failure, httpx.Response) else failure,
    )
    error: t.Any = await attempt(REPEATABLE["add"], kind)
    assert "; nothing was added" in str(error)


@both_kinds
async def test_one_attempt_that_may_have_added_the_job_is_not_forgotten(
    kind: Kind, server: respx.MockRouter
) -> None:
    server.post(JOBS).side_effect = [httpx.ReadTimeout, *[httpx.ConnectError] * 100]
    assert "whether anything was added is not known" in str(await attempt(REPEATABLE["add"], kind))


@both_kinds
async def test_a_refusal_after_an_attempt_that_may_have_added_the_job_proves_nothing(
    kind: Kind, server: respx.MockRouter
) -> None:
    server.post(JOBS).side_effect = [httpx.ReadTimeout, answer(401)]
    assert "whether anything was added is not known" in str(await attempt(REPEATABLE["add"], kind))


@both_kinds
async def test_an_answer_that_cannot_be_read_leaves_the_add_uncertain(
    kind: Kind, server: respx.MockRouter
) -> None:
    server.post(JOBS).respond(201, text="<h1>Welcome</h1>")
    error: t.Any = await attempt(REPEATABLE["add"], kind)
    assert (error.code, error.idempotency_key) == ("invalid_answer", "key-1")
    assert "whether anything was added is not known" in str(error)


@both_kinds
async def test_a_full_server_is_an_error_of_its_own(kind: Kind, server: respx.MockRouter) -> None:
    server.post(JOBS).respond(503, json={"error": "storage_full"})
    assert type(await attempt(REPEATABLE["add"], kind)) is QueueFullError
