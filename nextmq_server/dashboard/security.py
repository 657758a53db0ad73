"""What every answer and every request of the dashboard must have: headers, a known host, an own origin, a role."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..front.hosts import LOOPBACK_NAMES, is_host, named_hosts

CSP = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    )
)
"""The content security policy of every page: nothing is inline, so there is no nonce."""

HEADERS = {
    "content-security-policy": CSP,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}

SAFE_METHODS = frozenset(("GET", "HEAD"))

_NEEDS_URL = (
    "The dashboard is off: the server listens on other addresses than this machine's, and does not know its URL. "
    "Start it with --public-url https://queues.example.com, the URL at which people open the dashboard.\n"
)


class OwnPagesOnly:
    """Refuse requests for other hosts and changes that another site sends; give every answer the headers.

    Hosts are those of this machine and of `public_url`. With `is_open`, for a server that others reach, nothing
    is answered without a `public_url`.
    """

    def __init__(self, app: ASGIApp, *, public_url: str | None, is_open: bool) -> None:
        self._app = app
        self._public = urlsplit(public_url or "")
        self._is_off = is_open and public_url is None
        self._hosts = LOOPBACK_NAMES | ({self._public.hostname} if self._public.hostname else frozenset[str]())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(HEADERS)
                headers.setdefault("cache-control", "no-store")
            await send(message)

        refusal = self._refusal(scope)
        app = self._app if refusal is None else PlainTextResponse(*refusal)
        await app(scope, receive, send_with_headers)

    def _refusal(self, scope: Scope) -> tuple[str, int] | None:
        if self._is_off:
            return _NEEDS_URL, 503
        named = named_hosts(scope)
        if not is_host(named, self._hosts):
            return "The request names a host that is not this server's: pass --public-url with it.\n", 403
        if scope["method"] not in SAFE_METHODS and not self._is_own(Headers(scope=scope), named[0]):
            return "The request comes from another site: open the dashboard and try again there.\n", 403
        return None

    def _is_own(self, headers: Headers, host: str) -> bool:
        site = headers.get("sec-fetch-site")
        if site is not None:
            return site == "same-origin"
        origin = urlsplit(headers.get("origin", ""))  # Chromium omits the other one on plain HTTP
        is_public = bool(self._public.netloc) and origin[:2] == self._public[:2]
        return is_public or (origin.scheme == "http" and origin.netloc.lower() == host.lower())


def is_own_path(path: str, base: str) -> bool:
    """Return whether a page may send people on to `path` after the login: one of its own, no other site."""
    return path.startswith(f"{base}/") and not any(char in path for char in "\\\r\n\t") and "//" not in path
