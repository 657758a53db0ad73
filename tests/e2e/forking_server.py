"""A queue server that restarts within milliseconds of SIGKILL: it is forked from a process that has imported it.

Each line on stdin forks a server on the given port. Its pid is printed as soon as it accepts requests.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path

import uvicorn

from nextmq_server.api.app import create_app
from nextmq_server.dispatch.egress.rules import EgressRules
from nextmq_server.projects.projects import load_or_create_project
from nextmq_server.service import Service


class Server(uvicorn.Server):
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        print(os.getpid(), flush=True)


async def serve(project_file: Path, redis_url: str, port: int) -> None:
    service = Service(
        load_or_create_project(project_file, "killed"), redis_url, egress=EgressRules.for_development()
    )
    await service.start()
    config = uvicorn.Config(create_app(service), port=port, log_config=None, access_log=False, lifespan="off")
    await Server(config).serve()


def main(project_file: str, redis_url: str, port: str) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # leave no zombies
    for _ in sys.stdin:
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            asyncio.run(serve(Path(project_file), redis_url, int(port)))
            os._exit(0)


main(*sys.argv[1:])
