"""Live pages: one watcher for each project and process looks at all queues, for all who watch."""

from __future__ import annotations

import asyncio
import time
import typing as t

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from nextmq_handler.protocol import strict_json

from ..projects.roles import Role
from ..redis.connection import ConnectionLost, RedisError
from ..service import Service
from ..tasks import end_tasks
from ..words import span_text
from .pages.queues import needs_attention, sorted_by_trouble
from .render import render_text
from .visits import Visit, needs, sessions_of

LOOK_INTERVAL, IDLE_INTERVAL = 1.0, 2.0
"""How long, in s, a watcher rests between two looks; the second after IDLE_LOOKS looks that found nothing new."""

IDLE_LOOKS = 10

REST_RATIO = 20
"""A watcher rests at least so many times as long as its look took."""

MAX_VIEWERS = 200
"""How many pages one process keeps live."""

MAX_BEHIND = 20
"""A viewer that is so many events behind is cut off; its page comes back."""

CHECK_INTERVAL = 5.0
"""How often, in s, a stream without news checks that its viewer may still see the project."""

Viewer = asyncio.Queue[bytes | None]


class Watchers:
    """The watchers of the projects that somebody watches."""

    def __init__(self) -> None:
        self._watchers: dict[Service, LiveQueues] = {}

    @property
    def viewers(self) -> int:
        """How many pages are live."""
        return sum(len(watcher.viewers) for watcher in self._watchers.values())

    def join(self, service: Service, root: str) -> LiveQueues:
        """Return the watcher of a project, whose pages are below `root`."""
        watcher = self._watchers.get(service)
        if watcher is None:
            watcher = self._watchers[service] = LiveQueues(service, root)
        return watcher

    async def leave(self, watcher: LiveQueues, viewer: Viewer) -> None:
        """Forget a viewer; the last one ends the watcher."""
        watcher.viewers.discard(viewer)
        if not watcher.viewers and self._watchers.get(watcher.service) is watcher:
            del self._watchers[watcher.service]
            await watcher.stop()


class LiveQueues:
    """Looks at the queues of one project, and tells its viewers which rows changed."""

    def __init__(self, service: Service, root: str) -> None:
        self.service = service
        self.viewers: set[Viewer] = set()
        self._root = root
        self._rows: dict[str, str] | None = None  # by queue, what was seen of it
        self._is_gone = False
        self._task = asyncio.create_task(self._keep_looking())

    async def stop(self) -> None:
        """Look no more."""
        await end_tasks(self._task)

    async def look(self) -> bool:
        """Look once, and tell the viewers. Return whether there was news. Raises RedisError or ConnectionLost."""
        service = self.service
        rows = await service.overview.rows(await service.queue_names())
        seen = {row["name"]: _seen(row) for row in rows}
        before, self._rows = self._rows, seen
        if before is None:
            changed = rows
        elif seen.keys() != before.keys():
            self._tell("reload", {})
            return True
        else:
            changed = [row for row in rows if seen[row["name"]] != before[row["name"]]]
        if not changed and not self._is_gone:
            return False
        self._is_gone = False
        attention = sorted_by_trouble(filter(needs_attention, rows))
        news: dict[str, t.Any] = {"rows": {}, "queues": len(rows), "attention": len(attention)}
        for row in changed:
            news["rows"][row["name"]] = render_text("macros.html", "queue_row", row, self._root)
            await asyncio.sleep(0)
        news["attentionRows"] = "".join(
            render_text("macros.html", "attention_row", row, self._root) for row in attention
        )
        self._tell("rows", news)
        return True

    def welcome(self, viewer: Viewer) -> None:
        """Add a viewer: the next look tells it every row, since its page may be older."""
        self.viewers.add(viewer)
        self._rows = None

    async def _keep_looking(self) -> None:
        quiet = 0
        while await self.service.readiness() != "shutting down":
            started = time.perf_counter()
            try:
                quiet = 0 if await self.look() else quiet + 1
            except (RedisError, ConnectionLost):
                if not self._is_gone:
                    self._tell("gone", {})
                self._is_gone = True
            took = time.perf_counter() - started
            rest = IDLE_INTERVAL if quiet >= IDLE_LOOKS else LOOK_INTERVAL
            await asyncio.sleep(max(rest, REST_RATIO * took))
        for viewer in self.viewers:
            viewer.put_nowait(None)

    def _tell(self, kind: str, news: t.Mapping[str, t.Any]) -> None:
        text = f"event: {kind}\ndata: {strict_json.compact(news)}\n\n".encode("ascii")
        for viewer in self.viewers:
            viewer.put_nowait(text if viewer.qsize() < MAX_BEHIND else None)


@needs(Role.VIEWER)
async def stream(visit: Visit) -> Response:
    """Stream what changes in the project's queues."""
    watchers: Watchers = visit.request.app.state.watchers
    if watchers.viewers >= MAX_VIEWERS:
        return PlainTextResponse("too many live pages\n", 429, {"retry-after": "30"})
    headers = {"x-accel-buffering": "no"}
    return StreamingResponse(_events(visit, watchers), media_type="text/event-stream", headers=headers)


async def _events(visit: Visit, watchers: Watchers) -> t.AsyncGenerator[bytes]:
    watcher = watchers.join(visit.service, visit.root)
    viewer = Viewer()
    watcher.welcome(viewer)
    try:
        yield b": live\n\n"
        while True:
            try:
                text = await asyncio.wait_for(viewer.get(), CHECK_INTERVAL)
            except TimeoutError:
                if not await _may_see(visit.request, visit.service):
                    return
                text = b":\n\n"
            if text is None:
                return
            yield text
    finally:
        await watchers.leave(watcher, viewer)


async def _may_see(request: Request, service: Service) -> bool:
    try:
        user = await sessions_of(request).find(request, request.app.state.services)
    except (RedisError, ConnectionLost):
        return True  # it is looked at again as soon as Redis is back
    return user is not None and user.role(service.project.name) is not None


def _seen(row: dict[str, t.Any]) -> str:
    """Return what a row shows: an age counts as new when it is said in other words."""
    oldest = row["oldestWaiting"]
    return strict_json.compact({**row, "oldestWaiting": None if oldest is None else span_text(oldest)})
