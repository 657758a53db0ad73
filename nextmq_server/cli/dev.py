"""`nextmq dev`: embedded Valkey, API and dispatcher in one process, for one project on this machine."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import os
import signal
import sys
import typing as t
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import typer

from nextmq_handler.cli.typed import new_app
from nextmq_handler.errors import ConfigurationError
from nextmq_handler.rules.attempts import MAX_FREE_STARTS
from nextmq_handler.rules.limits import MAX_TIMEOUT_MS
from nextmq_handler.rules.log_text import one_line
from nextmq_handler.settings import is_loopback

from ..api.app import create_app
from ..dispatch.egress.rules import EgressRules, parse_network
from ..front.hosts import LOOPBACK_NAMES
from ..projects.key_names import find_keys
from ..projects.projects import load_or_create_project
from ..redis.address import Address
from ..service import Service
from ..serving import base_url, listen
from . import console
from .app_commands import guess_app_url
from .app_process import AppProcess
from .dashboard import dashboard
from .env_file import env_file
from .log_lines import configure_logging
from .options import AllowEgress, MaxFreeStarts, MaxTimeout, Port, WithDashboard, exit_on_error, on_event_loop
from .process import ServerProcess, check_external, on_signal

if t.TYPE_CHECKING:
    from ..embedded import EmbeddedValkey

logger = logging.getLogger("nextmq_server")

MAX_HOLD = 5.0
"""The longest pause, in s, between two tries of an endpoint: in development apps restart all the time."""

_POLL_UNTIL_UP, _POLL_WHEN_UP = 1.0, 30.0


class FsyncPolicy(StrEnum):
    """When the embedded Valkey flushes its append-only file."""

    always = "always"
    everysec = "everysec"
    no = "no"


app = new_app()


# What follows the first word of COMMAND is COMMAND's own, even without the two dashes.
@app.command("dev", context_settings={"allow_interspersed_args": False})
@exit_on_error("nextmq dev")
@on_event_loop
async def dev(
    command: t.Annotated[
        list[str] | None,
        typer.Argument(
            metavar="-- COMMAND", help="Start this app too, with NEXTMQ_URL and NEXTMQ_APP_URL set for it."
        ),
    ] = None,
    *,
    host: t.Annotated[str, typer.Option(help="A loopback address: the server speaks plain HTTP.")] = "127.0.0.1",
    port: Port = 7410,
    data_dir: t.Annotated[Path, typer.Option(help="The folder for jobs, key and secret.")] = Path(".nextmq"),
    fsync: t.Annotated[
        FsyncPolicy, typer.Option(help="When the embedded Valkey flushes to disk.")
    ] = FsyncPolicy.everysec,
    redis_url: t.Annotated[
        str | None, typer.Option(help="Use this Redis or Valkey instead of the embedded one.")
    ] = None,
    url: t.Annotated[
        str | None,
        typer.Option(help="The URL at which apps reach this server, if it is another one, as from a container."),
    ] = None,
    app_url: t.Annotated[
        str | None,
        typer.Option(
            "--app",
            help="The NEXTMQ_APP_URL of your app. Its /health is polled, so that it registers. "
            "Default with COMMAND: its port, and /api/nextmq.",
        ),
    ] = None,
    with_dashboard: WithDashboard = True,
    grace: t.Annotated[float, typer.Option(min=0, help="Seconds for deliveries in flight on Ctrl-C.")] = 30.0,
    allow_egress: AllowEgress = None,
    max_free_starts: MaxFreeStarts = MAX_FREE_STARTS,
    max_timeout: MaxTimeout = MAX_TIMEOUT_MS / 1000,
) -> None:
    """Run a development server: embedded Valkey, API and dispatcher in one process. Ctrl-C shuts it down.

    `nextmq dev -- uvicorn main:app --reload` starts your app too, and ends with its exit status.
    """
    child = AppProcess(command, show=console.print_app_line) if command else None
    if command and app_url is None:
        app_url = guess_app_url(command, os.environ)
    configure_logging(time_format="%H:%M:%S")
    # The line of the delivery already shows that a job failed.
    logging.getLogger("nextmq_server.failures").setLevel(logging.CRITICAL)
    egress = EgressRules.for_development([parse_network(text) for text in allow_egress or ()])
    process = ServerProcess(grace=grace)
    on_signal(process.stop_requested.set, signal.SIGHUP)  # the terminal is closed
    project = load_or_create_project(data_dir / "project.json", "dev")
    (data_dir / ".gitignore").write_text("*\n")
    if not is_loopback(host):
        raise ConfigurationError(
            f"--host {host} is not a loopback address: nextmq dev speaks plain HTTP, for this machine only"
        )
    async with contextlib.AsyncExitStack() as stack:
        listener = stack.enter_context(listen(host, port, command="nextmq dev"))
        valkey = None
        if redis_url is None:
            valkey = stack.enter_context(embedded(data_dir / "valkey", fsync))
            redis_url = valkey.url
        else:
            await check_external(redis_url)
        service = Service(
            project,
            redis_url,
            alone=valkey is not None,
            replace_workers=True,
            max_hold=MAX_HOLD,
            max_free_starts=max_free_starts,
            max_timeout=round(max_timeout * 1000),
            egress=egress,
            report=console.print_delivery,
            keys=await find_keys(Address(redis_url), project),
        )
        await service.start()
        helpers = [_poll_health(app_url.rstrip("/") + "/health")] if app_url else []
        if valkey is not None:
            helpers.append(_stop_with(valkey, process.stop_requested))
        local_url = base_url(host, listener)
        variables = {"NEXTMQ_URL": project.connection_string(local_url)}
        if app_url:
            variables["NEXTMQ_APP_URL"] = app_url
        stack.enter_context(env_file(data_dir, variables))
        hosts = {host, *LOOPBACK_NAMES, *([host_of(url)] if url else [])}
        if child is not None:
            helpers.append(_run(child, variables, process.stop_requested))
            stack.push_async_callback(child.stop)
        api = create_app(service, hosts=hosts, has_docs_page=True)
        login = None
        if with_dashboard:
            entry = dashboard(api, [service], Address(redis_url), host=host, public_url=url, is_first=True)
            login = await stack.enter_async_context(entry)
        banner = functools.partial(
            console.print_banner,
            project,
            (url or local_url).rstrip("/"),
            valkey,
            app=None if child is None else child.name,
            app_url=app_url or "",
            login=login,
        )
        await process.serve(
            api,
            listener,
            [service],
            helpers=helpers,
            on_ready=banner,
        )
    console.say("Stopped.")
    if child is not None and child.status:
        raise typer.Exit(child.status)


@contextlib.contextmanager
def embedded(folder: Path, fsync: FsyncPolicy) -> t.Generator[EmbeddedValkey]:
    if sys.platform == "win32":
        raise ConfigurationError(
            "nextmq has no embedded Valkey for Windows: run Redis 6.2 or newer, or Valkey, and pass "
            "--redis-url redis://HOST:6379"
        )
    from ..embedded import EmbeddedValkey

    valkey = EmbeddedValkey(folder, fsync=fsync.value)
    valkey.start()
    try:
        yield valkey
    finally:
        valkey.stop()


def host_of(url: str) -> str:
    """Return the host of --url. Raises ConfigurationError."""
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises if it is not a number
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/") or parts.query:
        raise ConfigurationError("--url is not a URL like http://host.docker.internal:7410")
    return parts.hostname


async def _poll_health(url: str) -> None:
    """Ask for the app's health, so that it registers. Warn once if it has no handler there."""
    told = False
    async with httpx.AsyncClient(timeout=5) as client:
        while True:
            try:
                status = (await client.get(url)).status_code
            except (httpx.HTTPError, httpx.InvalidURL):
                status = 0
            if status == 404 and not told:
                told = True
                logger.warning(
                    "the app answers 404 to %s: mount the handler there, or pass its URL with --app", one_line(url)
                )
            await asyncio.sleep(_POLL_WHEN_UP if 200 <= status < 300 or status == 404 else _POLL_UNTIL_UP)


async def _run(app: AppProcess, variables: t.Mapping[str, str], stop_requested: asyncio.Event) -> None:
    await app.run(variables)
    console.say(f"{app.name} ended with status {app.status}.")
    stop_requested.set()


async def _stop_with(valkey: EmbeddedValkey, stop_requested: asyncio.Event) -> None:
    await valkey.ended()
    logger.critical("the embedded Valkey ended unexpectedly: see valkey.log in %s", valkey.folder)
    stop_requested.set()
