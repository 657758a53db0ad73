"""Queries are read to the letter: what a route does not have is refused on every route, and named."""

from __future__ import annotations

import typing as t

import httpx
import pytest

from nextmq_server.projects.projects import Project
from tests.support.api import JOBS, problem_paths, refusal
from tests.support.rest_api import documented

pytestmark = pytest.mark.anyio


class Place(t.NamedTuple):
    """A route, and the parameters of its query with their JSON Schemas."""

    method: str
    path: str
    parameters: dict[str, dict[str, t.Any]]


def _routes() -> list[Place]:
    paths = documented()["paths"]
    return [
        Place(
            method.upper(),
            path.format(queue="emails", id="1", state="completed"),
            {each["name"]: each["schema"] for each in operation.get("parameters", ()) if each["in"] == "query"},
        )
        for path, operations in paths.items()
        for method, operation in operations.items()
        if path not in ("/healthz", "/readyz")
    ]


ROUTES = _routes()
TYPED = [
    (route, name, kind)
    for route in ROUTES
    for name, schema in route.parameters.items()
    for kind in ("integer", "boolean")
    if kind in (schema.get("type"), *(each.get("type") for each in schema.get("anyOf", ())))
]
NO_VALUES = {
    "integer": ["", "a", "1.0", "1e3", "+1", " 1", "1_0", "٣", "0x1", "true", "9" * 17],
    "boolean": ["", "yes", "1", "on", "True", "TRUE", "t", "0", "null"],
}


async def test_an_unknown_parameter_is_refused_on_every_route(api: httpx.AsyncClient) -> None:
    assert len(ROUTES) > 50
    for route in ROUTES:
        answer = await api.request(route.method, route.path, params={"colour": "red"})
        assert problem_paths(answer) == {"colour"}, route


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        ("state", "states"),
        ("States", "states"),
        ("starts", "start"),
        ("ends", "end"),
        ("ascc", "asc"),
        ("form", "from"),
    ],
)
async def test_the_parameter_that_was_meant_is_named(api: httpx.AsyncClient, wrong: str, meant: str) -> None:
    answer = await api.get(JOBS, params={wrong: "1"})
    assert (refusal(answer), f'did you mean "{meant}"?' in answer.json()["message"]) == (
        (422, "invalid_request"),
        True,
    )


@pytest.mark.parametrize("kind", NO_VALUES)
async def test_a_text_that_is_no_such_value_is_refused_on_every_route(api: httpx.AsyncClient, kind: str) -> None:
    typed = [(route, name) for route, name, found in TYPED if found == kind]
    assert typed
    for route, name in typed:
        for text in NO_VALUES[kind]:
            answer = await api.request(route.method, route.path, params={name: text})
            assert problem_paths(answer) == {name}, (route, text)


@pytest.mark.parametrize("name", ["start", "states", "asc"])
async def test_a_parameter_that_is_given_twice_is_refused(api: httpx.AsyncClient, name: str) -> None:
    assert problem_paths(await api.get(f"{JOBS}?{name}=1&{name}=1")) == {name}


async def test_a_caller_that_means_another_project_is_refused_on_every_route(api: httpx.AsyncClient) -> None:
    for route in ROUTES:
        answer = await api.request(route.method, route.path, headers={"x-nextmq-project": "another"})
        assert refusal(answer) == (403, "wrong_project"), route


@pytest.mark.parametrize("name", ["A", "a%20b", "%ff", "x" * 5000, "", "a/b", "%1b%5b31m"])
async def test_what_the_caller_calls_its_project_is_told_on_one_line(api: httpx.AsyncClient, name: str) -> None:
    answer = await api.get("/v1/project", headers={"x-nextmq-project": name})
    assert (answer.status_code, answer.json()["message"].isprintable()) == (403, True)


async def test_a_caller_may_name_its_project_or_not(api: httpx.AsyncClient, project: Project) -> None:
    for headers in ({}, {"x-nextmq-project": project.name}):
        assert (await api.get("/v1/project", headers=headers)).status_code == 200
