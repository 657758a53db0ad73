"""`nextmq tail`: the events and deliveries of queues as they happen."""

from __future__ import annotations

import asyncio
import collections
import json
import time
import typing as t

import typer

from ... import _overrides
from ...client._http.pools import async_http_client, close_async_http_client, url_of
from ...errors import AuthenticationError, NextMQError
from ...protocol.messages import PROJECT_HEADER
from ...rules.log_text import one_line
from ...rules.near_names import nearest
from ...settings import ServerConnection
from ..calls import Server
from ..failure import CommandFailed
from ..options import AsJson, Url
from ..output import duration, say, styled

MAX_QUEUES = 50
"""How many queues are followed at once: a server has 100 event streams for a project, and apps need some."""

NEW_QUEUES_INTERVAL = 5.0
"""How often, in s, to look for queues that are new."""

MAX_LOOKUPS = 20
"""How many deliveries are looked up each second. Of more, only the event is shown."""

MAX_REMEMBERED = 10_000
"""How many jobs the command remembers, to tell their names and which ran."""

SILENCE = 45.0
"""After so many s without a byte a stream is opened again: the server sends one at least every 15 s."""

_STYLES = {"completed": "ok", "failed": "bad", "stalled": "bad", "endpoint-disabled": "bad", "delayed": "warn"}
_ENDS = ("completed", "failed")
_QUIET = ("drained", "retries-exhausted")
"""Events that say what the one beside them says."""


class Happening(t.NamedTuple):
    """An event of a queue. `at` is ms since the epoch; `delivery` is the one that it ended, if that is known."""

    queue: str
    at: int
    event: str
    fields: dict[str, t.Any]
    name: str
    delivery: dict[str, t.Any] | None


Show = t.Callable[[Happening], None]


def tail(
    queues: t.Annotated[
        list[str] | None, typer.Argument(metavar="[QUEUE]...", help="Default: all queues.", show_default=False)
    ] = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Print events and deliveries as they happen, until Ctrl-C. With --json each is one line of JSON."""
    server = Server(url)
    names = list(dict.fromkeys(queues or ()))
    try:
        known = _queue_names(server)
    except AuthenticationError:
        if not names:
            raise
        known = names  # a key of an app may follow a queue, and not list all of them
    for name in names:
        if name not in known:
            near = nearest(name, known)
            hint = f'; did you mean "{near}"?' if near else ""
            say(styled(f'queue "{one_line(name)}" has no jobs yet{hint}', "muted"))
    followed = names or known
    if len(followed) > MAX_QUEUES:
        raise CommandFailed(
            f"{len(followed)} queues are more than the {MAX_QUEUES} that can be followed: name some"
        )
    show = _print_json if as_json else _print
    try:
        asyncio.run(follow(server, followed, show, takes_new=not names))
    except KeyboardInterrupt:
        return
    except BaseExceptionGroup as group:
        raise group.exceptions[0] from None


async def follow(server: Server, queues: t.Iterable[str], show: Show, *, takes_new: bool) -> None:
    """Show what happens in `queues`, and with `takes_new` in those that come. Raises a group of NextMQError."""
    lookups = _Lookups(server)
    try:
        async with asyncio.TaskGroup() as tasks:
            followed = set[str]()

            def begin(names: t.Iterable[str], start: str) -> None:
                for name in names:
                    if name not in followed and len(followed) < MAX_QUEUES:
                        followed.add(name)
                        tasks.create_task(_Queue(server.connection, name, lookups, show).follow(start))

            begin(queues, "$")
            while takes_new:
                await asyncio.sleep(NEW_QUEUES_INTERVAL)
                begin(await asyncio.to_thread(_queue_names, server), "0-0")  # it is new: all of it is new
    finally:
        await close_async_http_client()


class _Lookups:
    """Looks up the deliveries of jobs, not too many. `is_lost`: a stream broke, and none has opened since."""

    def __init__(self, server: Server) -> None:
        self.is_lost = False
        self._server = server
        self._recent = collections.deque[float](maxlen=MAX_LOOKUPS)

    def tell_lost(self) -> None:
        """Say once that the server does not answer; nothing is missed meanwhile."""
        if not self.is_lost:
            self.is_lost = True
            typer.echo("The server does not answer, trying again. Nothing is missed.", err=True)

    async def job(self, queue: str, id: str) -> dict[str, t.Any] | None:
        """Return the job, None if it is gone or there were too many."""
        now = _overrides.monotonic()
        if len(self._recent) == MAX_LOOKUPS and now - self._recent[0] < 1:
            return None
        self._recent.append(now)
        try:
            return await asyncio.to_thread(self._server.get, "queues", queue, "jobs", id)
        except NextMQError:
            return None


class _Queue:
    """One queue's event stream."""

    def __init__(self, connection: ServerConnection, name: str, lookups: _Lookups, show: Show) -> None:
        self._connection = connection
        self._name = name
        self._lookups = lookups
        self._show = show
        self._names: dict[str, str] = {}
        self._active: dict[str, None] = {}

    async def follow(self, start: str) -> None:
        """Show the events after `start`. A stream that breaks is opened again. Raises CommandFailed."""
        import httpx

        connection, after = self._connection, start
        client = async_http_client(is_local=connection.is_local)
        url = url_of(connection.base_url, ("v1", "queues", self._name, "events"), {"from": start})
        headers = {"authorization": f"Bearer {connection.api_key}", PROJECT_HEADER: connection.project}
        timeout = httpx.Timeout(10, read=SILENCE, pool=None)
        while True:
            try:
                async with client.stream(
                    "GET", url, headers={**headers, "last-event-id": after}, timeout=timeout
                ) as answer:
                    if answer.status_code != 200:
                        await answer.aread()
                        raise CommandFailed(_refused(self._name, answer))
                    self._lookups.is_lost = False
                    async for id, event, data in _messages(answer):
                        after = id or after
                        if event:
                            await self._tell(after, event, data)
            except httpx.HTTPError:
                self._lookups.tell_lost()
                await asyncio.sleep(1)

    async def _tell(self, id: str, event: str, fields: dict[str, t.Any]) -> None:
        job = str(fields.get("jobId", ""))
        if event == "added":
            self._remember(self._names, job, str(fields.get("name", "")))
        has_ended = event in _ENDS or job in self._active
        if event == "active":
            self._remember(self._active, job, None)
        view = None
        if event != "active" and event != "progress" and has_ended and job:
            self._active.pop(job, None)
            view = await self._lookups.job(self._name, job)
        deliveries: list[dict[str, t.Any]] = view["deliveries"] if view else []
        name = str(view["name"]) if view else self._names.get(job, "")
        at = int(id.partition("-")[0])
        self._show(Happening(self._name, at, event, fields, name, deliveries[-1] if deliveries else None))

    def _remember(self, known: dict[str, t.Any], job: str, value: t.Any) -> None:
        known[job] = value
        if len(known) > MAX_REMEMBERED:
            del known[next(iter(known))]


async def _messages(answer: t.Any) -> t.AsyncIterator[tuple[str, str, dict[str, t.Any]]]:
    """Yield id, event and data of server-sent events."""
    id = event = data = ""
    async for line in answer.aiter_lines():
        field, _, value = line.partition(": ")
        match field:
            case "id":
                id = value
            case "event":
                event = value
            case "data":
                data = value
            case "":
                yield id, event, json.loads(data) if data else {}
                event = data = ""
            case _:
                pass


def _refused(queue: str, answer: t.Any) -> str:
    try:
        told = str(answer.json()["message"])
    except (ValueError, LookupError, TypeError):
        told = "something other than the queue server answered"
    return f"cannot follow queue {queue}: {one_line(told, 300)}"


def _queue_names(server: Server) -> list[str]:
    return [str(queue["name"]) for page in server.pages("queues") for queue in page["queues"]]


def _print(happening: Happening) -> None:
    if happening.event in _QUIET:
        return
    clock = time.strftime("%H:%M:%S", time.localtime(happening.at / 1000))
    id = happening.fields.get("jobId", "")
    job = one_line(f"{happening.name}#{id}" if id else "", 60)
    event = styled(f"{happening.event:<12}", _STYLES.get(happening.event))
    line = f"{clock}  {happening.queue:<12}  {job:<24}  {event}  {_detail(happening)}"
    say(line.rstrip())


def _detail(happening: Happening) -> str:
    parts: list[str] = []
    if (delivery := happening.delivery) is not None:
        parts.append(f"{delivery['status'] or '---'}  {duration(delivery['ms'])}")
    fields = happening.fields
    reason = fields.get("failedReason") or (happening.delivery or {}).get("detail") or fields.get("detail")
    if happening.event == "progress":
        parts.append(json.dumps(fields.get("data"), ensure_ascii=False))
    if reason:
        parts.append(str(reason))
    return one_line("  ".join(parts), 200)


def _print_json(happening: Happening) -> None:
    say(json.dumps(happening._asdict()))
