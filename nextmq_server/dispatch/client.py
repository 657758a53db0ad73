"""Send one delivery and read its answer: one total deadline, no redirects, a capped raw read."""

from __future__ import annotations

import asyncio
import io
import time
import typing as t

import aiohttp

from nextmq_handler.messages import Headers
from nextmq_handler.wire import clip

from .answers import Answer, NoAnswer

# Shorter than the keep-alive of common app servers (gunicorn 2 s, uvicorn and Node 5 s): a connection that the app
# closes while we send looks like a job that may have run.
_KEEPALIVE = 1.5

# In bytes. aiohttp warns of a larger body given whole, as writing it holds up the event loop.
_MAX_WHOLE = 1024 * 1024

# In bytes. aiohttp's exceptions may quote the whole head of an answer, and this goes into failedReason.
_MAX_DETAIL = 2048


class DeliveryClient:
    """HTTP for deliveries. One per process; `close` it."""

    def __init__(self) -> None:
        # No limit of connections: waiting for one would eat the delivery's time. Concurrency is the queue's.
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEPALIVE)
        self._session = aiohttp.ClientSession(
            connector=connector,
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None),
            skip_auto_headers=("accept", "user-agent"),
        )

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
        except aiohttp.ClientConnectorError as exc:
            return NoAnswer("not_sent", str(exc))
        except (aiohttp.InvalidURL, UnicodeError):  # UnicodeError: a host name with a label that IDNA refuses
            return NoAnswer("not_sent", "the registered URL is not one")
        except (aiohttp.ClientError, OSError) as exc:
            return NoAnswer("broken", clip(f"{type(exc).__name__}: {exc}", _MAX_DETAIL))

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()

    async def _post(self, url: str, headers: t.Mapping[str, str], body: bytes, max_size: int) -> Answer:
        sent_at = time.monotonic()
        data = io.BytesIO(body) if len(body) > _MAX_WHOLE else body
        async with self._session.post(url, data=data, headers=headers, allow_redirects=False) as response:
            elapsed = time.monotonic() - sent_at
            if max_size == 0:  # on the way out aiohttp closes the connection, unless the body is there already
                return Answer(response.status, Headers(response.raw_headers), b"", False, elapsed)
            chunks: list[bytes] = []
            size = 0
            async for chunk in response.content.iter_any():
                chunks.append(chunk)
                size += len(chunk)
                if size > max_size:
                    response.close()  # stop reading: the rest may be endless
                    break
            whole = b"".join(chunks)
            return Answer(
                status=response.status,
                headers=Headers(response.raw_headers),
                body=whole[:max_size],
                is_truncated=size > max_size,
                elapsed=elapsed,
            )
