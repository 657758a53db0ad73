"""The Python contenders of benchmarks/dispatch.py: `python -m benchmarks.dispatch_sides NAME SOCKET URL QUEUE
CONCURRENCY QUEUES`, until it is killed.

`service` is the server without its API: it delivers signed webhooks. `observed` is that with a log of each
delivery, and with traces if OTEL_* says so. `engine` is its engine alone. All collect garbage as `nextmq serve`
does. `stock` is bullmq's own Worker with httpx. If QUEUES is above 1, the queues are named QUEUE-0 and so on.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import typing as t

import bullmq
import httpx
import uvloop
from redis.asyncio import Redis

from nextmq_handler.protocol.outcomes import Completed
from nextmq_server.dispatch.egress.rules import EgressRules
from nextmq_server.engine.queues.job import EngineJob
from nextmq_server.engine.verdicts import Verdict
from nextmq_server.engine.worker.hub import Hub
from nextmq_server.engine.worker.options import RunnerOptions
from nextmq_server.projects.projects import Project
from nextmq_server.redis.address import Address
from nextmq_server.redis.keys import ProjectKeys
from nextmq_server.service import Service
from nextmq_server.serving import collect_less_garbage
from nextmq_server.workers.registration import RegisteredOptions, Registration

from .deliveries import SECRET

stock_bullmq: t.Any = bullmq


async def service(socket: str, url: str, queues: list[str], concurrency: int, **options: t.Any) -> None:
    project = Project("bench", ("nmq_" + "0" * 40,), (SECRET,), "bull")
    egress = EgressRules.for_development()
    server = Service(project, f"unix://{socket}", replace_workers=True, egress=egress, **options)
    await server.start()
    secret_ids = [secret.id for secret in project.secrets]
    worker = RegisteredOptions(concurrency=concurrency)
    registration = Registration(url=url, options=worker, secret_ids=secret_ids, fingerprint="bench")
    for queue in queues:
        await server.workers.register(queue, registration, replace=None)
    collect_less_garbage()
    await asyncio.Event().wait()


async def observed(socket: str, url: str, queues: list[str], concurrency: int) -> None:
    """Write a JSON line for each delivery to stderr, and trace if OTEL_* says so."""
    from nextmq_server.cli.log_lines import LogFormat, configure_logging, log_delivery
    from nextmq_server.cli.telemetry import telemetry

    configure_logging(format=LogFormat.json)
    async with telemetry() as tracer:
        await service(socket, url, queues, concurrency, report=log_delivery, tracer=tracer)


async def engine(socket: str, url: str, queues: list[str], concurrency: int) -> None:
    hub = Hub(Address(f"unix://{socket}"), ProjectKeys("bench"), prefix="bull", instance_id="bench", alone=False)
    await hub.start()

    async def process(job: EngineJob) -> Verdict:
        return Completed(None)

    for queue in queues:
        await hub.add(queue, RunnerOptions(concurrency=concurrency), process)
    collect_less_garbage()
    await asyncio.Event().wait()


async def stock(socket: str, url: str, queues: list[str], concurrency: int) -> None:
    # Without the socket timeout it hangs as soon as it has waited once.
    connection: t.Any = Redis(unix_socket_path=socket, decode_responses=True, socket_timeout=None)
    limits = httpx.Limits(max_connections=concurrency, max_keepalive_connections=concurrency)
    async with httpx.AsyncClient(limits=limits, timeout=30) as client:

        async def process(job: t.Any, token: str) -> object:
            body = {"id": job.id, "name": job.name, "data": job.data, "attemptsMade": job.attemptsMade}
            answer = await client.post(url, content=json.dumps(body))
            return answer.json()

        options = {"connection": connection, "concurrency": concurrency}
        workers = [stock_bullmq.Worker(queue, process, options) for queue in queues]
        await asyncio.Event().wait()
        del workers


CONTENDERS = {"service": service, "observed": observed, "engine": engine, "stock": stock}


def main() -> None:
    name, socket, url, queue, concurrency, count = sys.argv[1:]
    queues = [f"{queue}-{number}" for number in range(int(count))] if int(count) > 1 else [queue]
    if name == "observed":
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - until the process ends
    uvloop.run(CONTENDERS[name](socket, url, queues, int(concurrency)))


if __name__ == "__main__":
    main()
