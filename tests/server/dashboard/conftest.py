"""Fixtures of the dashboard's tests: its pages as each role asks for them."""

from __future__ import annotations

import dataclasses
import typing as t

import httpx
import pytest
from fastapi import FastAPI

from nextmq_server.api.app import create_app
from nextmq_server.dashboard.app import create_dashboard
from nextmq_server.embedded import EmbeddedValkey
from nextmq_server.projects.projects import Project
from nextmq_server.projects.roles import ApiKey, Role
from nextmq_server.redis.address import Address
from nextmq_server.redis.connection import RedisConnection
from nextmq_server.service import Service

ORIGIN = "http://127.0.0.1:7410"


@pytest.fixture
async def connection(valkey: EmbeddedValkey) -> t.AsyncIterator[RedisConnection]:
    """Connect to the Redis that keeps the users."""
    async with RedisConnection.opened(Address(valkey.url), name="dashboard") as connection:
        yield connection


@pytest.fixture
def served(service: Service, connection: RedisConnection) -> FastAPI:
    """Mount the dashboard beside the API."""
    app = create_app(service)
    app.mount("/dashboard", create_dashboard([service], connection))
    return app


def browser(app: FastAPI) -> httpx.AsyncClient:
    """Return a client that sends what a browser on this machine sends."""
    headers = {"origin": ORIGIN, "accept": "text/html"}
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=ORIGIN, headers=headers)


async def logged_in(app: FastAPI, service: Service, project: Project, role: Role) -> httpx.AsyncClient:
    """Return a browser that logged in with an API key of this role."""
    key = ApiKey(f"nmq_{project.name}_{role}", role, f"the {role}")
    service.credentials.rotate(dataclasses.replace(project, api_keys=(*service.project.api_keys, key)))
    client = browser(app)
    answer = await client.post("/dashboard/login", data={"key": key.key})
    assert answer.status_code == 303, answer.text
    return client


@pytest.fixture
async def viewer(served: FastAPI, service: Service, project: Project) -> t.AsyncIterator[httpx.AsyncClient]:
    """Give the browser of a viewer."""
    client = await logged_in(served, service, project, Role.VIEWER)
    yield client
    await client.aclose()
