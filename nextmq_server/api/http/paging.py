"""Answers that list: they are sent piece by piece, and end at a bounded size with the position to go on from."""

from __future__ import annotations

import bisect
import typing as t

from fastapi import Query
from starlette.responses import Response, StreamingResponse

from nextmq_handler.protocol import strict_json

from ...redis.connection import ConnectionLost, RedisError
from ...shares import Shares

MAX_ANSWER = 16 * 1024 * 1024
"""The most bytes of listed items in one answer. One item alone may be larger."""

MAX_INDEX_DIGITS = 10
"""The most digits of a position: no list of Redis is longer."""

SENT_AT = 64 * 1024
"""Shorter answers are sent in one part; in bytes."""

_JSON = "application/json"

From = t.Annotated[
    str | None,
    Query(alias="from", min_length=1, max_length=1100, description="the `next` of the answer to go on from"),
]


class Piece(t.NamedTuple):
    """Some items as JSON, and where the next piece begins; None after the last item."""

    items: list[bytes]
    next: str | None


Read = t.Callable[[str | None], t.Awaitable[Piece]]
"""Reads a piece. None is the beginning of the list."""


def item(value: object) -> bytes:
    """Return an item of a list as JSON."""
    return strict_json.utf8(value)


def member(name: str, value: object) -> bytes:
    """Return an item of an object as JSON."""
    return b"%b:%b" % (item(name), item(value))


def is_index(text: str) -> bool:
    """Return whether `text` is the index of a list."""
    return text.isascii() and text.isdigit() and len(text) <= MAX_INDEX_DIGITS


async def named_piece(
    names: t.Sequence[str],
    position: str | None,
    views: t.Callable[[t.Sequence[str]], t.Awaitable[t.Sequence[object]]],
    *,
    at_once: int,
) -> Piece:
    """Return the views of the first of `names`, which are sorted, from the name `position` on.

    `views` makes those of up to `at_once` names in one step.
    """
    index, items, size = bisect.bisect_left(names, position or ""), list[bytes](), 0
    while index < len(names) and size < SENT_AT:
        for view in await views(names[index : index + at_once]):
            items.append(item(view))
            size += len(items[-1])
            index += 1
            if size >= SENT_AT:
                break
    return Piece(items, names[index] if index < len(names) else None)


async def answer_list(shares: Shares, read: Read, start: str | None, name: str, **others: object) -> Response:
    """Answer with the list `name`, the members `others`, and `next` if there is more.

    Raises what reading the first piece raises.
    """
    return await answer_pieces(_pieces(shares, read, start, name, b"[]", others))


async def answer_object(shares: Shares, read: Read, start: str | None, name: str, **others: object) -> Response:
    """Answer with the object `name`, else as `answer_list`. The items are made by `member`."""
    return await answer_pieces(_pieces(shares, read, start, name, b"{}", others))


async def answer_pieces(pieces: t.AsyncGenerator[bytes], status: int = 200) -> Response:
    """Read the first piece, so that its errors become an error answer; send the others as they are read.

    Each piece but the last has SENT_AT bytes or more.
    """
    first = await anext(pieces)
    if len(first) < SENT_AT:
        return Response(first, status, media_type=_JSON)
    return StreamingResponse(_all(first, pieces), status, media_type=_JSON)


async def _all(piece: bytes, others: t.AsyncGenerator[bytes]) -> t.AsyncIterator[bytes]:
    yield piece
    del piece  # the caller may read slowly
    async for other in others:
        yield other


async def _pieces(
    shares: Shares, read: Read, start: str | None, name: str, brackets: bytes, others: dict[str, object]
) -> t.AsyncGenerator[bytes]:
    text = b"{" + b"".join(member(*other) + b"," for other in others.items()) + item(name) + b":" + brackets[:1]
    position, size = start, 0
    while True:
        try:
            async with shares.reads:
                piece = await read(position)
        except (RedisError, ConnectionLost):
            if not size:
                raise
            break  # the answer has begun: the caller goes on from here, and is told then
        items = b",".join(piece.items)
        if size and size + len(items) > MAX_ANSWER:
            break
        position = piece.next
        if items:
            text += b"," * bool(size) + items
            size += len(items)
        if position is None or size >= MAX_ANSWER:
            break
        del piece, items  # nothing but the text is held while the caller reads
        if len(text) >= SENT_AT:
            yield text
            text = b""
    yield text + brackets[1:] + (b"}" if position is None else b"," + member("next", position) + b"}")
