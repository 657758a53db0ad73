"""1 MiB of data is 1 MiB of UTF-8 on every route that takes data, however the request spells it."""

from __future__ import annotations

import typing as t

import httpx
import pytest

from tests.support.api import JOBS, problem_paths, send
from tests.support.api_cases import MIB

pytestmark = pytest.mark.anyio

TAKERS: dict[str, tuple[str, str, t.Callable[[str], object]]] = {
    "a job": ("POST", JOBS, lambda data: {"name": "a", "data": data}),
    "a bulk": ("POST", f"{JOBS}/bulk", lambda data: {"jobs": [{"name": "a", "data": data}]}),
    "a flow": ("POST", "/v1/flows", lambda data: {"flow": {"name": "a", "queueName": "emails", "data": data}}),
    "flows": (
        "POST",
        "/v1/flows/bulk",
        lambda data: {"flows": [{"name": "a", "queueName": "emails", "data": data}]},
    ),
    "new data": ("PUT", f"{JOBS}/j/data", lambda data: {"data": data}),
    "progress": ("PUT", f"{JOBS}/j/progress", lambda data: {"progress": data}),
    "a scheduler": (
        "PUT",
        "/v1/queues/emails/schedulers/s",
        lambda data: {"repeat": {"every": 10**9}, "template": {"data": data}},
    ),
}
CHARACTERS = {"one byte": "x", "two bytes": "é", "three bytes": "中", "four bytes": "😀"}


@pytest.mark.parametrize("character", CHARACTERS)
@pytest.mark.parametrize("what", TAKERS)
async def test_a_mebibyte_of_utf_8_is_taken_and_one_character_more_is_refused(
    api: httpx.AsyncClient, what: str, character: str
) -> None:
    (await api.post(JOBS, json={"name": "a", "opts": {"jobId": "j"}})).raise_for_status()
    method, path, body = TAKERS[what]
    char = CHARACTERS[character]
    most = (MIB - 2) // len(char.encode())
    taken = await send(api, method, path, body(char * most))
    assert taken.is_success, taken.text[:300]
    [refused] = problem_paths(await send(api, method, path, body(char * (most + 1))))
    assert refused.endswith(("data", "progress"))
