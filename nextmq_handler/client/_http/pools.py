"""The pools of httpx clients, and the URLs of calls.

httpx is slow to import, so the first call imports it, here and in the modules beside.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
import typing as t
import weakref
from urllib.parse import quote, urlencode

from ...errors import ConfigurationError
from ...protocol.arguments import shown

if t.TYPE_CHECKING:
    import httpx

_async_clients = weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, "httpx.AsyncClient"]()
_sync_clients: dict[int, httpx.Client] = {}
_lock = threading.Lock()
_DOTS = {".": "%2E", "..": "%2E%2E"}

Query = t.Mapping[str, str | int | bool | None]

C = t.TypeVar("C", bound="httpx.Client | httpx.AsyncClient")


def async_http_client() -> httpx.AsyncClient:
    """Return the client of the running loop: an AsyncClient's connections cannot move to another loop."""
    import httpx

    loop = asyncio.get_running_loop()
    client = _async_clients.get(loop)
    if client is None or client.is_closed:
        client = _async_clients[loop] = _made(httpx.AsyncClient)
    return client


async def close_async_http_client() -> None:
    """Close the running loop's client, if it has one, at the end of a lifespan."""
    client = _async_clients.pop(asyncio.get_running_loop(), None)
    if client is not None:
        await client.aclose()


def http_client() -> httpx.Client:
    """Return the client of this process: a forked child must not share its parent's connections."""
    import httpx

    with _lock:
        client = _sync_clients.get(os.getpid())
        if client is None or client.is_closed:
            _sync_clients.clear()
            client = _sync_clients[os.getpid()] = _made(httpx.Client)
            atexit.register(client.close)
        return client


def _made(kind: type[C]) -> C:
    import httpx

    # Each wait_until_finished holds a connection, so there are many. Close an idle one before uvicorn does, after
    # 5 s: a request that meets the closing connection is lost.
    limits = httpx.Limits(max_connections=1000, max_keepalive_connections=100, keepalive_expiry=4.0)
    try:
        return kind(limits=limits)
    except (ValueError, ImportError, OSError, httpx.InvalidURL) as exc:
        # Their text may quote a proxy's URL, and with it a password.
        raise ConfigurationError(
            f"cannot make an HTTP client ({type(exc).__name__}): check the environment variables HTTPS_PROXY, "
            "HTTP_PROXY, ALL_PROXY, SSL_CERT_FILE and SSL_CERT_DIR"
        ) from None


def url_of(base_url: str, path: t.Iterable[str], query: Query | None = None) -> str:
    """Build a URL from the segments of `path`, and escape them: a segment with a slash, or of dots, stays one.

    Members of `query` that are None are left out. Raises ConfigurationError for text that a URL cannot carry.
    """
    given = {name: _text(value) for name, value in (query or {}).items() if value is not None}
    try:
        url = "/".join((base_url, *map(_segment, path)))
        return f"{url}?{urlencode(given)}" if given else url
    except UnicodeEncodeError as exc:
        text = f"{exc.object[:100]!r} holds a lone surrogate, which is not a character"
        raise ConfigurationError(text) from None


def _segment(segment: object) -> str:
    if not isinstance(segment, str) or not segment:
        raise ConfigurationError(f"an id or a name must be a string that is not empty, not {shown(segment)[:120]}")
    return _DOTS.get(segment) or quote(segment, safe="")


def _text(value: str | int | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
