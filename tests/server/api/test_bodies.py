"""What parsing a body costs is bounded, whatever it holds; text that only looks like many values is taken."""

from __future__ import annotations

import asyncio
import typing as t

import httpx
import pytest

from nextmq_server.api.http import bodies
from nextmq_server.service import Service
from tests.support.api import JOBS, refusal

pytestmark = pytest.mark.anyio

JSON = {"content-type": "application/json"}
MOST = 1000
"""The most values of a body in these tests."""

MANY: dict[str, bytes] = {
    "lists": b"[],",
    "nested lists": b"[[]],",
    "objects": b"{},",
    "objects with a member": b'{"a":1},',
    "numbers": b"1,",
    "fractions": b"1.5,",
    "strings": b'"a",',
    "empty strings": b'"",',
    "strings of commas": b'",",',
    "strings of brackets": b'"[{",',
    "nulls": b"null,",
    "spaced": b" 1 , ",
}
FEW: dict[str, bytes] = {
    "commas": b"," * 5000,
    "brackets": b"[" * 5000,
    "braces": b"{" * 5000,
    "escaped quotes": b'\\",' * 5000,
    "escaped backslashes": b"\\\\," * 5000,
    "JSON": b'{\\"a\\":[1,2]},' * 1000,
    "a table": b"1,2,3\\n" * 1000,
    "text": "żółć, 中文, 😀, ".encode() * 500,
}


@pytest.fixture(autouse=True)
def few_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "MAX_VALUES", MOST)


@pytest.mark.parametrize("kind", MANY)
async def test_too_many_values_are_refused(api: httpx.AsyncClient, kind: str) -> None:
    body = b'{"name":"a","data":[' + MANY[kind] * (MOST + 1) + b"0]}"
    assert refusal(await api.post(JOBS, content=body, headers=JSON)) == (413, "payload_too_large")


@pytest.mark.parametrize("kind", MANY)
async def test_fewer_values_are_taken(api: httpx.AsyncClient, kind: str) -> None:
    body = b'{"name":"a","data":[' + MANY[kind] * (MOST // 4) + b"0]}"
    assert (await api.post(JOBS, content=body, headers=JSON)).status_code == 201


@pytest.mark.parametrize("kind", FEW)
async def test_text_that_looks_like_many_values_is_one(api: httpx.AsyncClient, kind: str) -> None:
    body = b'{"name":"a","data":"' + FEW[kind] + b'"}'
    assert (await api.post(JOBS, content=body, headers=JSON)).status_code == 201


async def test_a_body_that_does_not_arrive_is_refused(
    api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def stalls() -> t.AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    monkeypatch.setattr(bodies, "BODY_TIMEOUT", 0.01)
    assert refusal(await api.post(JOBS, content=stalls(), headers=JSON)) == (408, "body_timeout")


async def test_large_bodies_of_a_project_take_turns_and_small_ones_do_not(
    api: httpx.AsyncClient, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "LARGE_BODY", 100)
    held = service.shares.large_bodies
    while not held.locked():
        await held.acquire()
    large = asyncio.create_task(api.post(JOBS, json={"name": "a", "data": "x" * 200}))
    assert (await api.post(JOBS, json={"name": "a"})).status_code == 201
    assert not large.done()
    held.release()
    assert (await large).status_code == 201
