"""What the tests of the REST API share: the one error shape, registrations, any JSON."""

from __future__ import annotations

import json
import typing as t

import httpx
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from nextmq_server.projects.projects import Project

JOBS = "/v1/queues/emails/jobs"
WORKER = "/v1/queues/emails/worker"
COUNTS = "/v1/queues/emails/counts"

one_service = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
"""For properties of the API: all examples of a test go to the same service."""


def json_of(text: st.SearchStrategy[str]) -> st.SearchStrategy[t.Any]:
    """Draw any JSON whose strings are `text`."""
    return st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | text,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
        max_leaves=10,
    )


any_json = json_of(st.text(st.characters(exclude_categories=[])))
"""Any JSON that Python writes: with NaN, Infinity, lone surrogates, and numbers of any size."""


async def send(client: httpx.AsyncClient, method: str, path: str, body: object) -> httpx.Response:
    """Send whatever Python writes as JSON, in ASCII."""
    content = json.dumps(body)
    return await client.request(method, path, content=content, headers={"content-type": "application/json"})


def refusal(response: httpx.Response) -> tuple[int, str]:
    """Return the status and the code of an error answer, and check its shape."""
    seen = f"{response.status_code} {response.text[:500]}"
    assert response.is_error, seen
    assert response.headers["content-type"] == "application/json", seen
    body = response.json()
    assert {name: type(value) for name, value in body.items()} == {"error": str, "message": str, "details": dict}
    return response.status_code, body["error"]


def problem_paths(response: httpx.Response) -> set[str]:
    """Return the paths of the problems that an invalid_request lists."""
    assert refusal(response) == (422, "invalid_request")
    return {problem["path"] for problem in response.json()["details"]["problems"]}


def registration(project: Project, **changes: t.Any) -> dict[str, t.Any]:
    """Return what an app of the project would register; nothing listens there."""
    secret_ids = [secret.id for secret in project.secrets]
    url = "http://127.0.0.1:9/queues/emails"
    return {"url": url, "options": {}, "secretIds": secret_ids, "fingerprint": "f1", **changes}
