"""The REST API in process: a call of the SDK finds the function that answers it."""

from __future__ import annotations

import importlib
import json
import types
import typing as t
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlsplit

from ....errors import NextMQError
from ....protocol import strict_json
from ....rules.limits import MAX_PAGE_INDEX
from ....rules.queries import check_page, check_path_id, check_range, flag_of, whole_of
from ....rules.refusals import Refusal, idempotency_key_reused, invalid_values, no_such_job, stale_delivery
from ....telemetry import trace_options
from ..engine.job import Key, SimulatedJob

if t.TYPE_CHECKING:
    from ....rules.models import Closed
    from ..engine.delivering import Steps
    from ..engine.queue_state import QueueState
    from ..engine.simulation import Simulation
    from ..engine.store import Store

# The calls of the SDK that are not simulated, by the part of the path that names them.
_CALLS = {
    "metrics": "Queue.get_metrics",
    "triggers": "triggers",
    "trim-events": "Queue.trim_events",
    "worker": "registrations",
}


class NotSimulatedError(NextMQError, NotImplementedError):
    """LocalNextMQ does not simulate the call that the message names. Test it with the real server."""


@dataclass(frozen=True, slots=True)
class SimulatedRequest:
    """A call of the SDK: `names` are the parts of the path that match "*", `content` is the body's JSON."""

    simulation: Simulation
    names: tuple[str, ...]
    query: dict[str, str]
    content: t.Any
    delivery_id: str | None
    trace: dict[str, t.Any]
    """The job options that hand the trace of this call on."""

    @property
    def now(self) -> int:
        """The time, in ms since the epoch."""
        return self.simulation.clock.ms

    @property
    def store(self) -> Store:
        """The queues and their jobs."""
        return self.simulation.store

    @property
    def queue(self) -> QueueState:
        """The queue of the path."""
        return self.store.queue(self.names[0])

    @property
    def job(self) -> SimulatedJob:
        """The job of the path. Raises Refusal if it does not exist, or another delivery owns it."""
        queue, job_id = self.names[:2]
        job = self.store.find(Key(queue, job_id))
        if self.delivery_id is not None and (job is None or job.delivery_id != self.delivery_id):
            raise stale_delivery(job_id)
        if job is None:
            raise no_such_job(queue, job_id)
        return job

    def flag(self, name: str, *, default: bool) -> bool:
        """Return a flag of the query. Raises Refusal."""
        return flag_of(name, self.query[name]) if name in self.query else default

    def number(self, name: str, default: int, *, low: int = 0, high: int = MAX_PAGE_INDEX) -> int:
        """Return a number of the query, from `low` to `high`. Raises Refusal."""
        if name not in self.query:
            return default
        value = whole_of(name, self.query[name])
        check_range(name, value, low, high)
        return value

    def page(self) -> slice:
        """Return the page of the query. Raises Refusal."""
        start, end = self.number("start", 0), self.number("end", 99)
        check_page(start, end)
        return slice(start, end + 1)


Content = t.Mapping[str, t.Any] | None
Route = t.TypeVar("Route", bound=t.Callable[..., "Content | Steps[Content]"])


class _SimulatedRoute(t.NamedTuple):
    pattern: tuple[str, ...]
    function: t.Callable[..., Content | Steps[Content]]
    status: int
    parameters: dict[str, str]
    """The names of the function's parameters, with their annotations."""


class Router:
    """Routes by method and path; "*" matches one part of the path."""

    def __init__(self) -> None:
        self._routes: dict[tuple[str, int], list[_SimulatedRoute]] = {}

    def route(self, method: str, path: str, *, status: int = 200) -> t.Callable[[Route], Route]:
        """Register the function for these calls. It returns None for an empty object.

        Its parameters name what it takes: the `request`, or its `store`, `queue`, `job` or `body`. The annotation
        of `body` is the model that checks it.
        """

        def register(function: Route) -> Route:
            parameters = {name: kind for name, kind in function.__annotations__.items() if name != "return"}
            entry = _SimulatedRoute(tuple(path.split("/")), function, status, parameters)
            self._routes.setdefault((method, len(entry.pattern)), []).append(entry)
            return function

        return register

    def answer(
        self, simulation: Simulation, method: str, url: str, headers: t.Mapping[str, str], body: bytes | None
    ) -> Steps[tuple[int, bytes]]:
        """Return status and content. Raises NotSimulatedError if no route matches."""
        parts = urlsplit(url)
        path = tuple(unquote(part) for part in parts.path.split("/")[2:])
        entry, names = self._find(method, path)
        key = headers.get("idempotency-key")
        request_line = f"{method} {url}\n".encode() + (body or b"")
        if key is not None and key in simulation.replies:
            return _replayed(simulation.replies[key], request_line)
        query, content = dict(parse_qsl(parts.query, keep_blank_values=True)), json.loads(body) if body else None
        delivery_id, trace = headers.get("x-nextmq-delivery"), trace_options(headers)
        request = SimulatedRequest(simulation, names, query, content, delivery_id, trace)
        try:
            for name in names:
                check_path_id(name)
            found = entry.function(**_arguments(entry, request))
            if isinstance(found, types.GeneratorType):
                found = yield from t.cast("Steps[Content]", found)
        except Refusal as exc:
            return exc.status, _encoded(exc.body)
        answer = _encoded(t.cast("Content", found) or {})
        if key is not None:
            simulation.replies[key] = (request_line, answer)
        return entry.status, answer

    def _find(self, method: str, path: tuple[str, ...]) -> tuple[_SimulatedRoute, tuple[str, ...]]:
        for entry in self._routes.get((method, len(path)), ()):
            parts = list(zip(entry.pattern, path, strict=True))
            if all(part in ("*", given) for part, given in parts):
                return entry, tuple(given for part, given in parts if part == "*")
        call = next((_CALLS[part] for part in reversed(path) if part in _CALLS), "this call")
        raise NotSimulatedError(
            f"LocalNextMQ does not simulate {call} ({method} /v1/{'/'.join(path)}): test it with the real server"
        )


ROUTER: Router = Router()


def _replayed(kept: tuple[bytes, bytes], request_line: bytes) -> tuple[int, bytes]:
    seen, answer = kept
    if seen == request_line:
        return 201, answer
    refusal = idempotency_key_reused()
    return refusal.status, _encoded(refusal.body)


def _arguments(route: _SimulatedRoute, request: SimulatedRequest) -> dict[str, t.Any]:
    """Return what the route's function takes. Raises Refusal."""
    found: dict[str, t.Any] = {"request": request}
    if "body" in route.parameters:
        found["body"] = read(route.parameters["body"], request.content)
    return {name: found[name] if name in found else getattr(request, name) for name in route.parameters}


def read(model: str, content: t.Any) -> t.Any:
    """Return a body as the model that `bodies.Name` or `flows.Name` of the rules names. Raises Refusal."""
    from pydantic import ValidationError  # tests that only add jobs without options never load it

    module, name = model.split(".")
    reader: type[Closed] = getattr(importlib.import_module(f"nextmq_handler.rules.{module}"), name)
    try:
        return reader.model_validate(content)
    except ValidationError as exc:
        raise invalid_values(exc.errors()) from None


def _encoded(content: t.Mapping[str, t.Any]) -> bytes:
    return strict_json.compact(content).encode("ascii")
