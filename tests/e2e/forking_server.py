"""A queue server that is back within milliseconds after SIGKILL: forked from a process that has imported it all.

Each line on stdin forks one, which serves on the port given; its pid is printed once it takes requests.
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
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # no zombies
    for _ in sys.stdin:
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            asyncio.run(serve(Path(project_file), redis_url, int(port)))
            os._exit(0)


main(*sys.argv[1:])
