"""The REST API in process: a call of the SDK finds the function that answers it."""

from __future__ import annotations

import json
import typing as t
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlsplit

from ....errors import NextMQError
from ....telemetry import trace_options
from ..engine.job import Key, SimulatedJob
from .refusals import Refusal, no_such_job

if t.TYPE_CHECKING:
    from ..engine.queue_state import QueueState
    from ..engine.simulation import Simulation

# What the SDK calls that is not simulated, by the part of the path that tells it.
_CALLS = {
    "metrics": "Queue.get_metrics",
    "triggers": "triggers",
    "trim-events": "Queue.trim_events",
    "worker": "get_worker_registration_statuses",
}


class NotSimulatedError(NextMQError, NotImplementedError):
    """LocalNextMQ does not do what was called: the message names it. Test it with the real server."""


@dataclass(frozen=True, slots=True)
class Request:
    """A call of the SDK: `names` are the parts of the path that the route leaves open, such as queue and job."""

    simulation: Simulation
    names: tuple[str, ...]
    query: dict[str, str]
    body: t.Any
    delivery_id: str | None
    trace: dict[str, t.Any]
    """The job options that carry the trace of this call on."""

    @property
    def now(self) -> int:
        """The time, in ms since the epoch."""
        return self.simulation.clock.ms

    @property
    def queue(self) -> QueueState:
        """The queue that the path begins with."""
        return self.simulation.store.queue(self.names[0])

    def job(self) -> SimulatedJob:
        """The job of the path. Raises Refusal where it is not there, or is another delivery's (section 5)."""
        queue, job_id = self.names[:2]
        job = self.simulation.store.find(Key(queue, job_id))
        if self.delivery_id is not None and (job is None or job.delivery_id != self.delivery_id):
            text = f"this delivery no longer owns job {job_id}: it timed out or lost its lock"
            raise Refusal(409, "stale_delivery", text)
        if job is None:
            raise no_such_job(queue, job_id)
        return job

    def flag(self, name: str, *, default: bool) -> bool:
        """A flag of the query."""
        return self.query.get(name, str(default).lower()) == "true"

    def number(self, name: str, default: int) -> int:
        """A number of the query."""
        return int(self.query.get(name, default))


Route = t.Callable[[Request], "dict[str, t.Any] | None"]


class Router:
    """Routes by method and path; "*" is a part of the path that is handed on."""

    def __init__(self) -> None:
        self._routes: dict[tuple[str, int], list[tuple[tuple[str, ...], Route, int]]] = {}

    def route(self, method: str, path: str, *, status: int = 200) -> t.Callable[[Route], Route]:
        """The function answers this; None stands for an empty object."""
        pattern = tuple(path.split("/"))

        def register(function: Route) -> Route:
            self._routes.setdefault((method, len(pattern)), []).append((pattern, function, status))
            return function

        return register

    def include(self, other: Router) -> None:
        """Take over the routes of another one."""
        for key, routes in other._routes.items():
            self._routes.setdefault(key, []).extend(routes)

    def answer(
        self, simulation: Simulation, method: str, url: str, headers: t.Mapping[str, str], body: bytes | None
    ) -> tuple[int, bytes]:
        """Status and content. Raises NotSimulatedError for what no route is for."""
        parts = urlsplit(url)
        path = tuple(unquote(part) for part in parts.path.split("/")[2:])
        route, names, status = self._find(method, path)
        key = headers.get("idempotency-key")
        request_line = f"{method} {url}\n".encode() + (body or b"")
        if key is not None and key in simulation.replies:
            return _replayed(simulation.replies[key], request_line)
        request = Request(
            simulation,
            names,
            dict(parse_qsl(parts.query)),
            json.loads(body) if body else None,
            headers.get("x-nextmq-delivery"),
            trace_options(headers),
        )
        try:
            content = route(request)
        except Refusal as exc:
            return exc.status, _encoded(exc.content)
        answer = _encoded(content or {})
        if key is not None:
            simulation.replies[key] = (request_line, answer)
        return status, answer

    def _find(self, method: str, path: tuple[str, ...]) -> tuple[Route, tuple[str, ...], int]:
        for pattern, route, status in self._routes.get((method, len(path)), ()):
            if all(part in ("*", given) for part, given in zip(pattern, path, strict=True)):
                names = tuple(given for part, given in zip(pattern, path, strict=True) if part == "*")
                return route, names, status
        call = next((_CALLS[part] for part in reversed(path) if part in _CALLS), "this call")
        raise NotSimulatedError(
            f"LocalNextMQ does not simulate {call} ({method} /v1/{'/'.join(path)}): test it with the real server"
        )


def _replayed(kept: tuple[bytes, bytes], request_line: bytes) -> tuple[int, bytes]:
    seen, answer = kept
    if seen == request_line:
        return 201, answer
    text = "another request had this idempotency key in the last 24 h: use a new one"
    return 422, _encoded({"error": "idempotency_key_reused", "message": text, "details": {}})


def _encoded(content: dict[str, t.Any]) -> bytes:
    return json.dumps(content, separators=(",", ":")).encode("ascii")
