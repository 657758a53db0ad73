"""`nextmq demo`: a server with an app in its process and queues in every state, in a folder that is removed."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import tempfile
import typing as t
from pathlib import Path

import typer

from nextmq_handler.errors import NextMQError

from ..api.app import create_app
from ..demo.demo import SEED, Demo
from ..dispatch.egress.rules import EgressRules
from ..front.hosts import LOOPBACK_NAMES
from ..projects.projects import new_project
from ..redis.address import Address
from ..service import Service
from ..serving import base_url, listen
from . import console
from .dashboard import dashboard
from .dev import MAX_HOLD, FsyncPolicy, embedded
from .log_lines import configure_logging
from .options import Port, exit_on_error, on_event_loop
from .process import ServerProcess

PROJECT = "shop"
"""The name of the demo's project."""

_HOST = "127.0.0.1"
_GRACE = 0.0


@exit_on_error("nextmq demo")
@on_event_loop
async def demo(
    *,
    port: Port = 7410,
    seed: t.Annotated[
        int, typer.Option(help="Make other jobs: everything that looks random comes from it.")
    ] = SEED,
    check: t.Annotated[
        bool, typer.Option("--check", help="Make the queues, check their states, and end.")
    ] = False,
) -> None:
    """Run a server with an app and queues in every state, to look at. Ctrl-C ends it; nothing is kept."""
    configure_logging(time_format="%H:%M:%S")
    logging.getLogger("nextmq_server").setLevel(logging.CRITICAL)  # the failures are on purpose
    logging.getLogger("nextmq_handler").setLevel(logging.CRITICAL)
    process = ServerProcess(grace=_GRACE)
    failed: list[NextMQError] = []
    async with contextlib.AsyncExitStack() as stack:
        listener = stack.enter_context(listen(_HOST, 0 if check else port, command="nextmq demo"))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nextmq-demo-")))
        valkey = stack.enter_context(embedded(folder, FsyncPolicy.no))
        service = Service(
            new_project(PROJECT),
            valkey.url,
            alone=True,
            max_hold=MAX_HOLD,
            egress=EgressRules.for_development([]),
        )
        await service.start()
        url = base_url(_HOST, listener)
        made = Demo(service, url, seed=seed)
        app = create_app(service, hosts={_HOST, *LOOPBACK_NAMES}, has_docs_page=True)
        pages = dashboard(app, [service], Address(valkey.url), host=_HOST, is_first=True, is_demo=True)
        login = await stack.enter_async_context(pages)
        links = [f"DEMO: queues in every state. The link works once, for 10 minutes: {url}{login}"]
        links.append(f"  export NEXTMQ_URL={service.project.connection_string(url)}   # then: nextmq status")
        await process.serve(
            app,
            listener,
            [service],
            helpers=[_run(made, links, process.stop_requested, failed, check=check)],
            on_ready=lambda: console.say("Making the queues of the demo …"),
        )
    if failed:
        raise failed[0]


async def _run(
    made: Demo, links: list[str], stop_requested: asyncio.Event, failed: list[NextMQError], *, check: bool
) -> None:
    try:
        async with made:
            if problems := await made.problems():
                raise NextMQError(f"the demo is not complete: {'; '.join(problems)}")
            for link in links:
                console.say(link)
            if not check:
                await made.keep_going()
    except NextMQError as exc:
        failed.append(exc)
    finally:
        stop_requested.set()
