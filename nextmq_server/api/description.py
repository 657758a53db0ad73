"""GET /openapi.json: the routes, for programs that have a key. GET /docs, of `nextmq dev`: for people."""

from __future__ import annotations

import asyncio
import html
import typing as t

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, JSONResponse

from .http.request import Authorized, router

# Without a script: the page is on the origin of the API.
_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>NextMQ server</title>
<style>
  body { font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 70em; padding: 0 1em }
  td { border-top: 1px solid #ccc; padding: .3em 1em .3em 0; vertical-align: top }
  code { font-size: 13px }
</style>
<h1>The REST API of the NextMQ server</h1>
<p>Send <code>authorization: Bearer API_KEY</code>. <code>GET /openapi.json</code> has every member of each
request and answer.</p>
<table>
%s
</table>
"""

_HEADERS = {"content-security-policy": "default-src 'none'; style-src 'unsafe-inline'"}

routes = router("/openapi.json", "server")
page = APIRouter(include_in_schema=False)


@routes.get("", include_in_schema=False)
async def get_description(request: Request, _service: Authorized) -> JSONResponse:
    """Get the OpenAPI document."""
    return JSONResponse(await _described(request))


@page.get("/docs")
async def get_docs(request: Request) -> HTMLResponse:
    """Show the routes."""
    document = await _described(request)
    return HTMLResponse(_PAGE % "\n".join(_rows(document["paths"])), headers=_HEADERS)


async def _described(request: Request) -> dict[str, t.Any]:
    document: dict[str, t.Any] = await asyncio.to_thread(request.app.openapi)  # the first time takes a while
    return document


def _rows(paths: t.Mapping[str, t.Mapping[str, t.Any]]) -> t.Iterator[str]:
    for path, operations in paths.items():
        for method, operation in operations.items():
            cells = (f"<code>{method.upper()}</code>", f"<code>{html.escape(path)}</code>")
            yield f"<tr><td>{'<td>'.join((*cells, html.escape(operation.get('description', ''))))}"
