"""Send one delivery and read its answer: one total deadline, no redirects, a capped raw read."""

from __future__ import annotations

import asyncio
import io
import time
import typing as t

import aiohttp
from aiohttp.abc import AbstractResolver
from aiohttp.resolver import DefaultResolver

from nextmq_handler.messages import Headers
from nextmq_handler.wire import clip

from .answers import Answer, NoAnswer
from .egress import CheckedResolver, EgressRefused, EgressRules

# Shorter than the keep-alive of common app servers (gunicorn 2 s, uvicorn and Node 5 s): a connection that the app
# closes while we send looks like a job that may have run.
_KEEPALIVE = 1.5

# In bytes. aiohttp warns of a larger body given whole, as writing it holds up the event loop.
_MAX_WHOLE = 1024 * 1024

# In bytes. aiohttp's exceptions may quote the whole head of an answer, and this goes into failedReason.
_MAX_DETAIL = 2048


class DeliveryClient:
    """HTTP for deliveries, to where `egress` lets them go. One per process; `close` it.

    `resolver` asks for the addresses of names: aiohttp's own, unless given.
    """

    def __init__(self, egress: EgressRules, *, resolver: AbstractResolver | None = None) -> None:
        self._egress = egress
        self._resolver = resolver or DefaultResolver()
        self._sessions = {scheme: self._session(is_plain=scheme == "http") for scheme in ("https", "http")}

    async def send(
        self, url: str, headers: t.Mapping[str, str], body: bytes, *, timeout: float, max_size: int
    ) -> Answer | NoAnswer:
        """POST `body`; the answer by `timeout` s from now, at most `max_size` bytes of it.

        With a `max_size` of 0 the head is the whole answer: what follows it is not waited for.
        """
        try:
            async with asyncio.timeout(timeout):
                return await self._post(url, headers, body, max_size)
        except TimeoutError:
            return NoAnswer("timeout", f"no whole answer within {timeout:g} s")
        except (EgressRefused, aiohttp.ClientConnectorError) as exc:
            return NoAnswer("not_sent", str(exc))
        except (aiohttp.InvalidURL, UnicodeError):  # UnicodeError: a host name with a label that IDNA refuses
            return NoAnswer("not_sent", "the registered URL is not one")
        except (aiohttp.ClientError, OSError) as exc:
            return NoAnswer("broken", clip(f"{type(exc).__name__}: {exc}", _MAX_DETAIL))

    async def close(self) -> None:
        """Close all connections."""
        for session in self._sessions.values():
            await session.close()
        await self._resolver.close()

    def _session(self, *, is_plain: bool) -> aiohttp.ClientSession:
        # No limit of connections: waiting for one would eat the delivery's time. Concurrency is the queue's.
        connector = aiohttp.TCPConnector(
            limit=0,
            keepalive_timeout=_KEEPALIVE,
            resolver=CheckedResolver(self._egress, self._resolver, is_plain=is_plain),
        )
        return aiohttp.ClientSession(
            connector=connector,
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None),
            skip_auto_headers=("accept", "user-agent"),
            trust_env=False,  # a proxy would connect wherever it likes
        )

    async def _post(self, url: str, headers: t.Mapping[str, str], body: bytes, max_size: int) -> Answer:
        target = self._egress.check_url(url)
        sent_at = time.monotonic()
        data = io.BytesIO(body) if len(body) > _MAX_WHOLE else body
        session = self._sessions[target.scheme]
        async with session.post(target, data=data, headers=headers, allow_redirects=False) as response:
            elapsed = time.monotonic() - sent_at
            if max_size == 0:  # on the way out aiohttp closes the connection, unless the body is there already
                return Answer(response.status, Headers(response.raw_headers), b"", False, elapsed)
            whole = bytearray()  # no list of parts: of one byte each they take fifty times their size
            async for chunk in response.content.iter_any():
                whole += chunk
                if len(whole) > max_size:
                    response.close()  # stop reading: the rest may be endless
                    break
            return Answer(
                status=response.status,
                headers=Headers(response.raw_headers),
                body=bytes(whole[:max_size]),
                is_truncated=len(whole) > max_size,
                elapsed=elapsed,
            )
