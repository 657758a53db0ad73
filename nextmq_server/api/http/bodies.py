"""Bodies of requests: strict JSON, bounded in size, in time, and in what parsing them costs."""

from __future__ import annotations

import asyncio
import itertools
import re
import time
import typing as t

from fastapi import Request

from nextmq_handler.protocol import strict_json
from nextmq_handler.rules.refusals import Refusal

from ...shares import LARGE_BODY

MAX_BODY_SIZE = 4 * 1024 * 1024
"""The largest request body, in bytes: 1 MiB of data may be sent as 3 MiB of escapes."""

MAX_BULK_SIZE = 16 * 1024 * 1024
"""The largest request body, in bytes, with many jobs in it."""


MAX_VALUES = 600_000
"""How many values the JSON of a body may have: parsing so many takes about 50 ms, in which nothing else runs."""

BODY_TIMEOUT = 60.0
"""How long, in s, a body may take to arrive."""

T = t.TypeVar("T")

_SEPARATORS = (b",", b"[", b"{")
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_TURN = 0.005  # s


class StrictRequest(Request):
    """A request whose body is strict JSON of bounded size."""

    max_size = MAX_BODY_SIZE

    async def body(self) -> bytes:
        """Return the body. Raises Refusal."""
        if not hasattr(self, "_body"):
            declared = self.headers.get("content-length", "")
            if declared.isdecimal() and int(declared[:20]) > self.max_size:
                raise _too_large(self.max_size)
            try:
                async with asyncio.timeout(BODY_TIMEOUT):
                    self._body = b"".join([chunk async for chunk in self._chunks()])
            except TimeoutError:
                text = f"the body did not arrive within {BODY_TIMEOUT:.0f} s"
                raise Refusal(408, "body_timeout", text) from None
        return self._body

    async def _chunks(self) -> t.AsyncIterator[bytes]:
        size = 0
        async for chunk in self.stream():
            size += len(chunk)
            if size > self.max_size:
                raise _too_large(self.max_size)
            yield chunk

    async def json(self) -> t.Any:
        """Return the value of the body. Raises Refusal."""
        body = await self.body()
        await _check_values(body)
        try:
            return strict_json.loads(body)
        except ValueError:
            raise Refusal(400, "invalid_json", "the body is not strict JSON, or is nested too deeply") from None

    @property
    def is_large(self) -> bool:
        """Whether the body is large, or may be: its size is not declared."""
        declared = self.headers.get("content-length", "")
        return "transfer-encoding" in self.headers or (declared.isdecimal() and int(declared[:20]) > LARGE_BODY)


class BulkRequest(StrictRequest):
    """A request with many jobs."""

    max_size = MAX_BULK_SIZE


async def in_turns(items: t.Iterable[T]) -> t.AsyncIterator[T]:
    """Yield the items, and let the others of the loop run as soon as their work has taken some ms."""
    end = time.monotonic() + _TURN
    for one in items:
        yield one
        if time.monotonic() >= end:
            await asyncio.sleep(0)
            end = time.monotonic() + _TURN


async def _check_values(body: bytes) -> None:
    """Raise Refusal for JSON with too many values."""
    count = _count(body)
    if count <= MAX_VALUES:
        return
    # What looks like values in a string is none; but each string is one.
    async for text in in_turns(itertools.islice(_STRING.finditer(body), MAX_VALUES)):
        count -= _count(text.group())
        if count <= MAX_VALUES:
            return
    raise Refusal(413, "payload_too_large", f"the body has more than {MAX_VALUES} JSON values: send fewer at once")


def _count(text: bytes) -> int:
    return sum(map(text.count, _SEPARATORS))


def _too_large(limit: int) -> Refusal:
    return Refusal(413, "payload_too_large", f"the body of this request has at most {limit} bytes")
