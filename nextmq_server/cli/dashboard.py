"""The dashboard of a server command: mounted beside the API, with a link that logs in once."""

from __future__ import annotations

import contextlib
import typing as t

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import RedirectResponse

from nextmq_handler.settings import is_loopback

from ..dashboard.app import create_dashboard
from ..dashboard.users import EVERY_PROJECT, Users
from ..projects.roles import Role
from ..redis.address import Address
from ..redis.connection import RedisConnection
from ..service import Service

PATH = "/dashboard"
"""Where the dashboard is mounted; `GET /` goes there."""

FIRST_USER = "admin"
"""The user whom the link of a first start logs in. It has no password until `nextmq users password` sets one."""


@contextlib.asynccontextmanager
async def dashboard(
    app: FastAPI,
    services: t.Sequence[Service],
    address: Address,
    *,
    host: str,
    public_url: str | None = None,
    is_first: bool = False,
    is_demo: bool = False,
) -> t.AsyncGenerator[str | None]:
    """Mount the dashboard in `app`; yield the path and fragment that log in once, if somebody needs them.

    That is if there is no user yet, or with `is_first`. The server listens on `host`. Raises ConfigurationError.
    """
    async with RedisConnection.opened(address, name="nextmq-dashboard") as connection:
        app.add_api_route("/", _to_dashboard, include_in_schema=False)
        is_open = not is_loopback(host)
        pages = create_dashboard(
            services,
            connection,
            public_url=public_url,
            is_open=is_open,
            is_demo=is_demo,
            searches=app.state.searches,
        )
        app.mount(PATH, pages)
        yield await _login(Users(connection), is_first=is_first)


async def _to_dashboard(_request: Request) -> RedirectResponse:
    return RedirectResponse(f"{PATH}/", 307)


async def _login(users: Users, *, is_first: bool) -> str | None:
    known = await users.all()
    if known and not is_first:
        return None
    if FIRST_USER not in known:
        await users.put(FIRST_USER, {EVERY_PROJECT: Role.ADMIN}, None)
    return f"{PATH}/login#once={await users.new_once(FIRST_USER)}"
