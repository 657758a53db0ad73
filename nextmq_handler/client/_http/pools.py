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

_async_clients = weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, "dict[bool, httpx.AsyncClient]"]()
_sync_clients: dict[tuple[int, bool], httpx.Client] = {}
_lock = threading.Lock()
_NO_PROXY: dict[str, None] = dict.fromkeys(("all://", "http://", "https://"))
_DOTS = {".": "%2E", "..": "%2E%2E"}

Query = t.Mapping[str, str | int | bool | None]

C = t.TypeVar("C", bound="httpx.Client | httpx.AsyncClient")


def async_http_client(*, is_local: bool = False) -> httpx.AsyncClient:
    """Return the client of the running loop: an AsyncClient's connections cannot move to another loop.

    The one for servers on this machine uses no proxy: it would see the API key, which goes in plain text there.
    """
    import httpx

    clients = _async_clients.setdefault(asyncio.get_running_loop(), {})
    client = clients.get(is_local)
    if client is None or client.is_closed:
        client = clients[is_local] = _made(httpx.AsyncClient, is_local=is_local)
    return client


async def close_async_http_client() -> None:
    """Close the running loop's clients, if it has some, at the end of a lifespan."""
    for client in _async_clients.pop(asyncio.get_running_loop(), {}).values():
        await client.aclose()


def http_client(*, is_local: bool = False) -> httpx.Client:
    """Return the client of this process: a forked child must not share its parent's connections.

    `is_local` is as for `async_http_client`.
    """
    import httpx

    from .bounds import bound

    key = os.getpid(), is_local
    with _lock:
        client = _sync_clients.get(key)
        if client is None or client.is_closed:
            for other in [other for other in _sync_clients if other == key or other[0] != key[0]]:
                del _sync_clients[other]
            client = _sync_clients[key] = _made(httpx.Client, is_local=is_local)
            bound(client)
            atexit.register(client.close)
        return client


def _made(kind: type[C], *, is_local: bool) -> C:
    import httpx

    # Each wait_until_finished holds a connection, so there are many. Close an idle one before uvicorn does, after
    # 5 s: a request that meets the closing connection is lost.
    limits = httpx.Limits(max_connections=1000, max_keepalive_connections=100, keepalive_expiry=4.0)
    try:
        return kind(limits=limits, mounts=_NO_PROXY if is_local else None)
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
