"""What both colours of the client share: the pools of httpx clients, and errors from answers."""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
import typing as t
import weakref
from urllib.parse import quote

import httpx

from ..errors import AuthenticationError, NextMQHTTPError, StaleDeliveryError

_async_clients: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, httpx.AsyncClient] = (
    weakref.WeakKeyDictionary()
)
_sync_clients: dict[int, httpx.Client] = {}
_lock = threading.Lock()
_DOTS = {".": "%2E", "..": "%2E%2E"}


def async_http_client() -> httpx.AsyncClient:
    """The client of the running loop: an AsyncClient's connections cannot move to another one."""
    loop = asyncio.get_running_loop()
    client = _async_clients.get(loop)
    if client is None or client.is_closed:
        client = _async_clients[loop] = httpx.AsyncClient()
    return client


async def close_async_http_client() -> None:
    """Close the running loop's client, if it has one: for the end of a lifespan."""
    client = _async_clients.pop(asyncio.get_running_loop(), None)
    if client is not None:
        await client.aclose()


def http_client() -> httpx.Client:
    """The client of this process: a forked child must not share its parent's connections."""
    with _lock:
        client = _sync_clients.get(os.getpid())
        if client is None or client.is_closed:
            _sync_clients.clear()
            client = _sync_clients[os.getpid()] = httpx.Client()
            atexit.register(client.close)
        return client


def url_of(base_url: str, path: t.Iterable[str]) -> str:
    """The URL of `path`, segments that are not escaped yet: one that holds a slash, or is dots, stays one."""
    return "/".join((base_url, *(_DOTS.get(segment) or quote(segment, safe="") for segment in path)))


def content_of(response: httpx.Response) -> t.Any:
    """The decoded content of a 2xx answer, None where it has none.

    Raises what `raise_for_error` does, and NextMQHTTPError for content that is not JSON.
    """
    raise_for_error(response)
    if not response.content:
        return None
    try:
        return response.json()
    except ValueError:
        raise NextMQHTTPError(
            f"{response.request.method} {response.request.url}: {response.status_code} whose content is not JSON: "
            "something other than the queue server answered",
            status=response.status_code,
            code="invalid_answer",
        ) from None


def is_not_found(response: httpx.Response) -> bool:
    """Whether the server says that the thing asked for does not exist, not some proxy that the path does not."""
    return response.status_code == 404 and _error(response)[0] == "not_found"


def raise_for_error(response: httpx.Response) -> None:
    """Raises StaleDeliveryError, AuthenticationError or NextMQHTTPError for an answer that is not 2xx."""
    if response.is_success:
        return
    code, message = _error(response)
    text = f"{response.request.method} {response.request.url}: {response.status_code} {code}"
    if message:
        text += f": {message}"
    if code == "stale_delivery":
        raise StaleDeliveryError(text)
    kind = AuthenticationError if response.status_code in (401, 403) else NextMQHTTPError
    raise kind(text, status=response.status_code, code=code, details=_details(response))


def _error(response: httpx.Response) -> tuple[str, str]:
    body = _body(response)
    return str(body.get("error", "http_error")), str(body.get("message", ""))


def _details(response: httpx.Response) -> dict[str, t.Any]:
    details = _body(response).get("details")
    return t.cast("dict[str, t.Any]", details) if isinstance(details, dict) else {}


def _body(response: httpx.Response) -> dict[str, t.Any]:
    try:
        body = response.json()
    except ValueError:
        return {}
    return t.cast("dict[str, t.Any]", body) if isinstance(body, dict) else {}
