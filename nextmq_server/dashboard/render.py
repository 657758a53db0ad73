"""Turn a template into an answer, piece by piece: other tasks of the event loop run between two pieces."""

from __future__ import annotations

import asyncio
import functools
import hashlib
import re
import typing as t
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from starlette.responses import StreamingResponse

from nextmq_handler._package import __version__

from ..words import span_text
from . import shown, words

if t.TYPE_CHECKING:
    from jinja2 import Environment

FOLDER = Path(__file__).parent
STATIC = FOLDER / "static"

PIECE = 200
"""How many parts of a template one piece of an answer has: rendering them takes about a millisecond."""

# Characters that turn text around or cannot be seen: a name must not look like another one.
_UNSEEN = re.compile("[\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff\x00-\x08\x0b-\x1f\x7f-\x9f]")


def render(template: str, status: int = 200, **context: t.Any) -> StreamingResponse:
    """Return the answer that a template makes of `context`."""
    stream = environment().get_template(template).stream(**context)
    stream.enable_buffering(PIECE)
    return StreamingResponse(_pieces(stream), status, media_type="text/html; charset=utf-8")


def render_text(template: str, macro: str, *args: t.Any, **context: t.Any) -> str:
    """Return what one macro of a template makes of its arguments."""
    module = environment().get_template(template).make_module(context)
    return str(getattr(module, macro)(*args))


async def _pieces(stream: t.Iterable[str]) -> t.AsyncGenerator[bytes]:
    for piece in stream:
        yield piece.encode("utf-8", "backslashreplace")  # jobs may hold lone surrogates
        await asyncio.sleep(0)


@functools.cache
def environment() -> Environment:
    """Return the templates. Jinja is imported with the first page."""
    from jinja2 import Environment, FileSystemLoader, select_autoescape

    made = Environment(
        loader=FileSystemLoader(FOLDER / "templates"),
        autoescape=select_autoescape(["html", "svg"]),
        finalize=seen,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    filters: dict[str, t.Any] = {
        "path": functools.partial(quote, safe=""),
        "span": span_text,
        "ago": shown.ago,
        "utc": utc,
        "number": shown.number,
        "compact": shown.compact,
        "pretty": shown.pretty,
        "short": shown.short_id,
        "tone": shown.tone,
        "size": words.size,
        "state": shown.state_words,
    }
    names: dict[str, t.Any] = {"version": __version__, "asset": asset}
    made.filters.update(filters)
    made.globals.update(names)
    return made


def seen(value: t.Any) -> t.Any:
    """Return a value as a page shows it: nothing for None, characters that cannot be seen by their numbers."""
    if value is None:
        return ""
    if type(value) is str and _UNSEEN.search(value):
        return _UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", value)
    return value


def utc(ms: int) -> str:
    """Return a time (ms since the epoch) for <time datetime>."""
    return shown.moment(ms).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@functools.cache
def asset(name: str) -> str:
    """Return the path of a static file, with a word that changes with its content: it may be cached for good."""
    return f"/static/{name}?v={hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]}"


def now_utc() -> str:
    """Return the time of day in UTC, for the foot of a page."""
    return datetime.now(UTC).strftime("%H:%M:%S UTC")
