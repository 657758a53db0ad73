"""Which calls are tried again after which failures."""

from __future__ import annotations

import typing as t

import httpx
import pytest
import respx

from tests.support.client import Kind, both_kinds
from tests.support.client_failures import (
    FINAL,
    MAYBE_SENT,
    NOT_REPEATABLE,
    NOT_SENT,
    REPEATABLE,
    Failure,
    attempt,
    ok_for,
    scripted,
)

pytestmark = pytest.mark.anyio


@both_kinds
@pytest.mark.parametrize("failure", [*NOT_SENT.values(), *MAYBE_SENT.values()], ids=[*NOT_SENT, *MAYBE_SENT])
@pytest.mark.parametrize("call", REPEATABLE.values(), ids=REPEATABLE)
async def test_a_call_that_may_be_done_twice_outlives_a_passing_failure(
    kind: Kind, call: t.Any, failure: Failure, server: respx.MockRouter
) -> None:
    route = scripted(server, failure, ok=ok_for(call[1]))
    assert (await attempt(call, kind), route.call_count) == (None, 2)


@both_kinds
@pytest.mark.parametrize("failure", NOT_SENT.values(), ids=NOT_SENT)
@pytest.mark.parametrize("call", NOT_REPEATABLE.values(), ids=NOT_REPEATABLE)
async def test_any_call_that_did_not_reach_the_server_is_tried_again(
    kind: Kind, call: t.Any, failure: Failure, server: respx.MockRouter
) -> None:
    route = scripted(server, failure)
    assert (await attempt(call, kind), route.call_count) == (None, 2)


@both_kinds
@pytest.mark.parametrize("failure", MAYBE_SENT.values(), ids=MAYBE_SENT)
@pytest.mark.parametrize("call", NOT_REPEATABLE.values(), ids=NOT_REPEATABLE)
async def test_a_call_that_must_not_be_done_twice_is_not_tried_again_once_it_may_have_been_done(
    kind: Kind, call: t.Any, failure: Failure, server: respx.MockRouter
) -> None:
    route = scripted(server, httpx.ConnectError, failure)
    assert "; whether it was done is not known" in str(await attempt(call, kind))
    assert route.call_count == 2


@both_kinds
@pytest.mark.parametrize("failure", FINAL.values(), ids=FINAL)
async def test_what_another_attempt_would_not_change_is_not_tried_again(
    kind: Kind, failure: Failure, server: respx.MockRouter
) -> None:
    route = scripted(server, failure)
    assert await attempt(REPEATABLE["GET"], kind) is not None
    assert route.call_count == 1
