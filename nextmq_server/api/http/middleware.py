"""Middleware: route by the path as it was sent, give each request an id, know the hosts."""

from __future__ import annotations

import re
import secrets
import typing as t

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nextmq_handler.rules.refusals import Refusal

from ...front.hosts import is_host, named_hosts
from .errors import ASCIIResponse

_REQUEST_ID = re.compile(rb"[A-Za-z0-9_-]{1,64}")


class RawPath:
    """Route by the path as it was sent: an id with a slash, sent as %2F, is one segment."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope.get("raw_path"):
            scope = {**scope, "path": scope["raw_path"].decode("latin-1")}
        await self._app(scope, receive, send)


class RequestId:
    """Give each answer an x-request-id: the caller's own if it sent one, else a new one."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        sent = [value for name, value in scope["headers"] if name == b"x-request-id"]
        known = len(sent) == 1 and _REQUEST_ID.fullmatch(sent[0])
        request_id = sent[0].decode() if known else f"req_{secrets.token_hex(8)}"
        scope.setdefault("state", {})["request_id"] = request_id

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["x-request-id"] = request_id
            await send(message)

        await self._app(scope, receive, send_with_id)


class KnownHosts:
    """Only answer requests to `hosts`: a web page whose own name leads here must not read the answers."""

    def __init__(self, app: ASGIApp, *, hosts: t.Collection[str]) -> None:
        self._app = app
        self._hosts = {host.lower() for host in hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            named = named_hosts(scope)
            if not is_host(named, self._hosts):
                await ASCIIResponse(_misdirected(named).body, 421)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _misdirected(named: t.Sequence[str]) -> Refusal:
    sent = f"the host {named[0][:100]}" if len(named) == 1 else f"{len(named)} hosts"
    return Refusal(
        421,
        "unknown_host",
        f"the request names {sent}, which is not this server's: use http://localhost, or start the server with "
        "--url and the URL that you use",
    )
