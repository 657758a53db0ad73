"""`nextmq serve`: API and dispatcher for several projects on an external Redis, which processes may share."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import signal
import typing as t

import typer

from nextmq_handler.errors import ConfigurationError
from nextmq_handler.rules.attempts import MAX_FREE_STARTS
from nextmq_handler.rules.limits import MAX_TIMEOUT_MS
from nextmq_handler.settings import is_loopback

from ..api.app import create_app
from ..dispatch.counts import QueueLabels
from ..dispatch.egress.rules import EgressRules, parse_network
from ..engine.worker.slots import MAX_IN_FLIGHT, Slots
from ..metrics.metrics import ProcessMetrics
from ..projects.key_names import find_keys
from ..projects.projects import Project
from ..projects.projects_file import load_projects
from ..quota import QuotaLimits
from ..redis.address import Address
from ..redis.connection import ConnectionLost, RedisError
from ..service import Service
from ..serving import base_url, listen
from . import console
from .dashboard import dashboard
from .log_lines import LogFormat, LogLevel, configure_logging, log_delivery
from .metrics_port import serve_metrics
from .options import (
    AllowEgress,
    MaxFreeStarts,
    MaxTimeout,
    Port,
    ProjectsFile,
    RedisURL,
    TrustedProxy,
    WithDashboard,
    exit_on_error,
    on_event_loop,
)
from .process import ServerProcess, check_external, on_signal
from .telemetry import telemetry

logger = logging.getLogger("nextmq_server")


@exit_on_error("nextmq serve")
@on_event_loop
async def serve(
    projects: ProjectsFile,
    redis_url: RedisURL,
    host: t.Annotated[
        str,
        typer.Option(help="The address. The server speaks plain HTTP: put a TLS proxy in front of a public one."),
    ] = "127.0.0.1",
    port: Port = 7410,
    grace: t.Annotated[float, typer.Option(min=0, help="Seconds for deliveries in flight on SIGTERM.")] = 30.0,
    allow_egress: AllowEgress = None,
    trusted_proxy: TrustedProxy = None,
    max_in_flight: t.Annotated[
        int, typer.Option(min=1, help="The most deliveries in flight at once in this process.")
    ] = MAX_IN_FLIGHT,
    max_per_origin: t.Annotated[
        int | None,
        typer.Option(min=1, help="The most of these to one scheme, host and port. Default: no bound."),
    ] = None,
    max_free_starts: MaxFreeStarts = MAX_FREE_STARTS,
    max_jobs: t.Annotated[
        int | None, typer.Option(min=1, help="The most jobs of one project, in any state. Default: no bound.")
    ] = None,
    max_project_bytes: t.Annotated[
        int | None,
        typer.Option(min=1, help="About how many bytes the jobs of one project may use. Default: no bound."),
    ] = None,
    max_timeout: MaxTimeout = MAX_TIMEOUT_MS / 1000,
    with_dashboard: WithDashboard = True,
    public_url: t.Annotated[
        str | None,
        typer.Option(help="The URL at which people open the dashboard, such as https://queues.example.com."),
    ] = None,
    log_level: t.Annotated[
        LogLevel, typer.Option(help="The least severe lines that are logged. A delivery is one at info.")
    ] = LogLevel.info,
    log_format: t.Annotated[
        LogFormat, typer.Option(help="Write lines of text, or one JSON object a line.")
    ] = LogFormat.text,
    metrics_port: t.Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Serve /metrics of all projects on this port of 127.0.0.1."),
    ] = None,
) -> None:
    """Run the API and dispatcher on your Redis or Valkey; several servers may share it. SIGTERM shuts it down."""
    prepare = functools.partial(
        Service,
        redis_url=Address(redis_url),
        max_free_starts=max_free_starts,
        max_timeout=round(max_timeout * 1000),
        egress=EgressRules(allowed=[parse_network(text) for text in allow_egress or ()]),
        slots=Slots(max_in_flight, max_per_origin),
        quota=QuotaLimits(max_jobs, max_project_bytes),
        labels=QueueLabels(),
        report=log_delivery if log_level in (LogLevel.debug, LogLevel.info) else None,
    )

    async def new_service(project: Project) -> Service:
        return prepare(project, keys=await find_keys(Address(redis_url), project), tracer=tracer)

    configure_logging(level=log_level, format=log_format)
    reload_requested = asyncio.Event()
    on_signal(reload_requested.set, signal.SIGHUP)
    process = ServerProcess(grace=grace, trusted_proxies=[parse_network(text) for text in trusted_proxy or ()])
    wanted = load_projects(projects)
    services: list[Service] = []

    async def reload_on_request() -> None:
        while await reload_requested.wait():
            reload_requested.clear()
            try:
                await _take_over(load_projects(projects), services, new_service)
            except ConfigurationError as exc:
                logger.error("cannot take over the projects, keeping the old ones: %s", exc)

    async with contextlib.AsyncExitStack() as stack:
        listener = stack.enter_context(listen(host, port, command="nextmq serve"))
        tracer = await stack.enter_async_context(telemetry())
        await check_external(redis_url)
        await _take_over(wanted, services, new_service)
        if not is_loopback(host):
            logger.warning(
                "plain HTTP on %s: only a TLS proxy or a private network should be able to reach it", host
            )
        app = create_app()
        app.state.services = services
        url = base_url(host, listener)
        ready = f"NextMQ server on {url}. SIGTERM shuts down gracefully, SIGHUP reads the projects again."
        if with_dashboard:
            entry = dashboard(app, services, Address(redis_url), host=host, public_url=public_url)
            login = await stack.enter_async_context(entry)
            if login is not None:
                ready += f"\nThe dashboard has no user yet. Once, within 10 minutes: {public_url or url}{login}"
        metrics: ProcessMetrics = app.state.metrics
        if metrics_port is not None:
            metrics_url = await stack.enter_async_context(serve_metrics(metrics, services, metrics_port))
            logger.info("metrics of all projects: %s", metrics_url)
        await process.serve(
            app,
            listener,
            services,
            helpers=[reload_on_request(), metrics.loop_lag.watch()],
            on_ready=lambda: console.say(ready),
        )
    console.say("Stopped.")


async def _take_over(
    projects: t.Iterable[Project],
    services: list[Service],
    new_service: t.Callable[[Project], t.Awaitable[Service]],
) -> None:
    """Give `services` the new versions of their projects, and start one for each of the others."""
    wanted = {project.name: project for project in projects}
    for service in services:
        name = service.project.name
        if name not in wanted:
            raise ConfigurationError(
                f"project {name} was removed from the file: restart the server to stop serving it"
            )
        if wanted[name].prefix != service.project.prefix:
            raise ConfigurationError(f"project {name} has another prefix: restart the server to use it")
        await service.credentials.check(wanted[name])
    for service in services:
        project = wanted.pop(service.project.name)
        service.credentials.rotate(project)
        _tell(project)
    for project in wanted.values():
        service = await new_service(project)
        try:
            await service.start()
        except (RedisError, ConnectionLost) as exc:
            raise ConfigurationError(f"cannot start project {project.name}: Redis answered {exc}") from None
        services.append(service)
        _tell(project)


def _tell(project: Project) -> None:
    ids = ", ".join(secret.id for secret in project.secrets)
    logger.info("project %s: %d API keys, webhook secrets %s", project.name, len(project.api_keys), ids)
