"""The API keeps what its OpenAPI document says: generated requests find no 5xx and no undocumented answer."""

from __future__ import annotations

import asyncio
import threading
import typing as t

import pytest
import schemathesis
import uvicorn
from hypothesis import HealthCheck, settings
from schemathesis import checks
from schemathesis.specs.openapi import checks as openapi_checks

from nextmq_server.dispatch.egress.rules import EgressRules
from nextmq_server.embedded import EmbeddedValkey
from nextmq_server.projects.projects import Project, new_project
from nextmq_server.service import Service
from nextmq_server.testing.processes import free_port
from tests.support.rest_api import documented, rest_api

PROJECT = new_project("described")
PROJECT = Project(PROJECT.name, PROJECT.api_keys, PROJECT.webhook_secrets, prefix="described")

QUEUE, JOB = "emails", "a-job"

CHECKS = [
    checks.not_a_server_error,
    openapi_checks.status_code_conformance,
    openapi_checks.content_type_conformance,
    openapi_checks.response_schema_conformance,
    openapi_checks.missing_required_header,
    openapi_checks.unsupported_method,
]

_document = documented()
# An endless stream has no whole answer to check.
schema = schemathesis.openapi.from_dict(_document).exclude(path_regex="/events$")


@pytest.fixture(scope="module")
def server(valkey: EmbeddedValkey) -> t.Iterator[str]:
    """Serve the API over a real Valkey on a local port; yield its URL."""
    port = free_port()
    started, stopping = threading.Event(), asyncio.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    async def serve() -> None:
        loops.append(asyncio.get_running_loop())
        service = Service(PROJECT, valkey.url, egress=EgressRules.for_development())
        await service.start()
        await service.add([service.jobs.new(QUEUE, "welcome", None, {"jobId": JOB, "delay": 3_600_000}, now=0)])
        config = uvicorn.Config(rest_api(service), port=port, log_config=None, lifespan="off", ws="none")
        api = uvicorn.Server(config)
        serving = asyncio.create_task(api.serve())
        while not api.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.01)
        started.set()
        await stopping.wait()
        api.should_exit = True
        await serving
        await service.stop(grace=0)

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    started.wait()
    yield f"http://127.0.0.1:{port}"
    loops[0].call_soon_threadsafe(stopping.set)
    thread.join()


ONCE = settings(max_examples=5, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


@schema.parametrize()
@ONCE
def test_generated_requests_get_documented_answers(case: schemathesis.Case[t.Any], server: str) -> None:
    call(case, server)


def _meets_the_job(context: t.Any) -> bool:
    """Return whether a route does something else if the queue, or the job of the path, is there."""
    path, method = context.operation.path, context.operation.method
    return "{id}" in path or ("{queue}" in path and method in ("get", "delete"))


@schema.include(_meets_the_job).parametrize()
@ONCE
def test_generated_requests_for_a_job_that_is_there_get_documented_answers(
    case: schemathesis.Case[t.Any], server: str
) -> None:
    for name, value in {"queue": QUEUE, "id": JOB}.items():
        if name in (case.path_parameters or {}):
            case.path_parameters[name] = value
    call(case, server)


def call(case: schemathesis.Case[t.Any], server: str) -> None:
    """Send a request, and check its answer."""
    wait = (case.query or {}).get("wait")
    if str(wait).isdecimal() and int(str(wait)) > 50:  # generated as a number, or as its text
        case.query["wait"] = 50
    headers = {"authorization": f"Bearer {PROJECT.api_key}"}
    case.call_and_validate(base_url=server, headers=headers, checks=CHECKS, timeout=20)
