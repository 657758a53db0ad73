"""`nextmq users`: the accounts of the dashboard."""

from __future__ import annotations

import contextlib
import sys
import typing as t

import typer

from nextmq_handler.cli.confirm import confirm
from nextmq_handler.cli.options import AsJson, Yes
from nextmq_handler.cli.output import print_json, say, table
from nextmq_handler.errors import ConfigurationError

from ..dashboard.users import EVERY_PROJECT, Users
from ..projects.roles import Role
from ..redis.address import Address
from ..redis.connection import ConnectionLost, RedisConnection, RedisError
from .options import RedisURL, exit_on_error, on_event_loop

UserName = t.Annotated[str, typer.Argument(help="The name with which the person logs in.")]

app = typer.Typer(no_args_is_help=True, help="Manage who may log in to the dashboard.")


@app.command()
@exit_on_error("nextmq users add")
@on_event_loop
async def add(
    name: UserName,
    redis_url: RedisURL,
    role: t.Annotated[Role, typer.Option(help="viewer reads, operator changes jobs, admin does everything.")],
    project: t.Annotated[
        list[str] | None, typer.Option(help="Only in this project. May be repeated. Default: in all.")
    ] = None,
) -> None:
    """Add a user. The password is asked for, or read from a pipe."""
    if role is Role.APP:
        raise ConfigurationError("the role app is for API keys: choose viewer, operator or admin")
    async with _users(redis_url) as users:
        if name in await users.all():
            raise ConfigurationError(f"there is a user {name} already: remove it first, or change its password")
        await users.put(name, dict.fromkeys(project or [EVERY_PROJECT], role), _new_password())
    say(f"{name} may log in now.")


@app.command()
@exit_on_error("nextmq users password")
@on_event_loop
async def password(name: UserName, redis_url: RedisURL) -> None:
    """Set a new password: sessions of the user end. It is asked for, or read from a pipe."""
    async with _users(redis_url) as users:
        found = (await users.all()).get(name)
        if found is None:
            raise ConfigurationError(f"there is no user {name}: nextmq users list shows them")
        await users.put(name, found.roles, _new_password())
    say(f"{name} has a new password. Sessions of before end within 5 s.")


@app.command()
@exit_on_error("nextmq users remove")
@on_event_loop
async def remove(name: UserName, redis_url: RedisURL, yes: Yes = False) -> None:
    """Remove a user: sessions end within 5 s."""
    async with _users(redis_url) as users:
        if name not in await users.all():
            raise ConfigurationError(f"there is no user {name}: nextmq users list shows them")
        confirm(f"remove the user {name}", yes=yes)
        await users.remove(name)
    say(f"{name} is removed.")


@app.command("list")
@exit_on_error("nextmq users list")
@on_event_loop
async def list_users(redis_url: RedisURL, as_json: AsJson = False) -> None:
    """List the users with their roles; no password is shown."""
    async with _users(redis_url) as users:
        found = await users.all()
    if as_json:
        print_json(
            [
                {"name": name, "roles": user.roles, "hasPassword": bool(user.password)}
                for name, user in found.items()
            ]
        )
        return
    rows = [
        [
            name,
            ", ".join(f"{role} in {'all' if at == EVERY_PROJECT else at}" for at, role in user.roles.items()),
            "yes" if user.password else "no",
        ]
        for name, user in found.items()
    ]
    say(*table(("name", "roles", "password"), rows))


@contextlib.asynccontextmanager
async def _users(redis_url: str) -> t.AsyncGenerator[Users]:
    async with RedisConnection.opened(Address(redis_url), name="nextmq-users") as connection:
        try:
            yield Users(connection)
        except (RedisError, ConnectionLost) as exc:
            raise ConfigurationError(f"Redis answered {exc}") from None


def _new_password() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    return t.cast("str", typer.prompt("Password", hide_input=True, confirmation_prompt=True))
