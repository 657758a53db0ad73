"""What the tests of the client share: its clock, chance and pauses; the same call sync and async."""

from __future__ import annotations

import inspect
import json
import typing as t
from collections.abc import Awaitable, Callable

import pytest
import respx

from nextmq_handler import (
    AsyncFlowProducer,
    AsyncQueue,
    AsyncQueueJob,
    FlowProducer,
    NextMQ,
    Queue,
    QueueJob,
)
from tests.support.handler import JOB, NOW, URL

QUEUE = "/v1/queues/emails"

AnyQueue = Queue[t.Any, t.Any] | AsyncQueue[t.Any, t.Any]
AnyJob = QueueJob[t.Any, t.Any] | AsyncQueueJob[t.Any, t.Any]

both_kinds = pytest.mark.parametrize("kind", [Queue, AsyncQueue], ids=["Queue", "AsyncQueue"])
Kind = type[AnyQueue]


class ClientTime:
    """A clock that only pauses move, random numbers that are the upper bound, keys that count."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pauses: list[float] = []
        self._keys = 0

    def monotonic(self) -> float:
        return self.now

    def wall_clock(self) -> float:
        return NOW + self.now

    def uniform(self, low: float, high: float) -> float:
        return high

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds

    async def async_sleep(self, seconds: float) -> None:
        self.sleep(seconds)

    def new_key(self) -> str:
        self._keys += 1
        return f"key-{self._keys}"


async def value_of(answer: t.Any) -> t.Any:
    """Return what a call returned, sync or async."""
    return await answer if isinstance(answer, Awaitable) else answer


def make_queue(kind: Kind, **options: t.Any) -> AnyQueue:
    return kind("emails", **{"url": URL, **options})


def job_of(kind: Kind, **changes: t.Any) -> t.Any:
    """Make a job as `kind` returns it."""
    queue: t.Any = make_queue(kind)
    return queue._job({**JOB, **changes})


def queue_of(kind: Kind) -> t.Any:
    return make_queue(kind)


def flows_of(kind: Kind) -> t.Any:
    return FlowProducer(url=URL) if kind is Queue else AsyncFlowProducer(url=URL)


def triggers_of(kind: Kind) -> t.Any:
    return NextMQ(URL).triggers if kind is Queue else NextMQ(URL).async_triggers


def body_of(route: respx.Route) -> t.Any:
    """Return the JSON that was sent last."""
    return json.loads(route.calls.last.request.content)


class Case(t.NamedTuple):
    """A call, the request it makes, and what it returns for an answer."""

    method: str
    args: tuple[t.Any, ...]
    options: dict[str, t.Any]
    request: str
    sent: t.Any
    answer: t.Any
    returned: t.Any = None


def case(
    method: str,
    *args: t.Any,
    request: str,
    sent: t.Any = None,
    answer: t.Any = None,
    returned: t.Any = None,
    **options: t.Any,
) -> Case:
    return Case(method, args, options, request, sent, {} if answer is None else answer, returned)


async def observed(thing: t.Any, case: Case, server: respx.MockRouter) -> tuple[str, t.Any, t.Any]:
    """Return the request that the call made, its JSON, and what it returned."""
    route = server.route(url__startswith="https://queue.example/").respond(200, json=case.answer)
    returned = await value_of(getattr(thing, case.method)(*case.args, **case.options))
    request = route.calls.last.request
    content = json.loads(request.content) if request.content else None
    return f"{request.method} {request.url.raw_path.decode()}", content, returned


def cases_of(cases: list[Case]) -> pytest.MarkDecorator:
    """Parametrize a test over calls, with unique ids that name the method."""
    ids = [f"{index} {each.method}" for index, each in enumerate(cases)]
    return pytest.mark.parametrize("case", cases, ids=ids)


def public_methods(kind: type) -> dict[str, Callable[..., t.Any]]:
    return {
        name: member for name, member in inspect.getmembers(kind) if not name.startswith("_") and callable(member)
    }
