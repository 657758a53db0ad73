"""What every integration serves, in this process or another: two workers, and by name the options of the handlers.

A setup is mounted at `/{its name}/nextmq`, so one integration holds them all.
"""

from __future__ import annotations

import asyncio
import threading
import typing as t

from opentelemetry import baggage, trace
from pydantic import BaseModel

from nextmq_handler import AsyncJob, Job, RateLimitError, UnrecoverableJobError, Worker
from nextmq_handler.receiver.replay import MemoryReplayGuard
from nextmq_handler.testing.vectors import REQUESTS, Vector

NOW = 1_790_000_000
"""Where every handler's clock stands, in Unix seconds."""

SECRET = "whsec_pZ4tVw9Qx2mKc7RjY1nLs8HdGb3Fq0Ue"
SECOND_SECRET = "whsec_Jd5uXe0Gm9PzT6aWv3KyBn7RhQ4CsLf1"
THIRD_SECRET = "a plain secret, taken as its own bytes"
UNKNOWN_SECRET = "whsec_Ny8kSb2Vr5TfM1cXo6ZgEi0DqHw7UjA9"

SMALL = 2000
MEETING = 20
"""How many jobs called `meet` must be in flight together before any of them ends."""

Body = t.Callable[["AnyJob"], t.Any]
AnyJob = Job[t.Any] | AsyncJob[t.Any]
Options = dict[str, t.Any]


class Order(BaseModel):
    """The data of jobs called `order`."""

    number: int


class BrokenGuard:
    """A replay guard whose store is away."""

    def claim(self, delivery_id: str, lifetime: float) -> bool:
        """Raise, always."""
        raise ConnectionError("the guard's store is away")


class _WithoutText(Exception):
    def __str__(self) -> str:
        raise RuntimeError("this one cannot be shown")


def _raise(exc: BaseException) -> t.NoReturn:
    raise exc


def _chain(job: AnyJob) -> None:
    try:
        _raise(KeyError("first"))
    except KeyError as exc:
        raise ValueError("second") from exc


def _recurse(job: AnyJob) -> None:
    _recurse(job)


def _trace(job: AnyJob) -> dict[str, t.Any]:
    context = trace.get_current_span().get_span_context()
    return {
        "trace": trace.format_trace_id(context.trace_id),
        "state": dict(context.trace_state),
        "baggage": dict(baggage.get_all()),
    }


BODIES: dict[str, Body] = {
    "echo": lambda job: job.data,
    "measure": lambda job: len(job.data),
    "none": lambda job: None,
    "raise": lambda job: _raise(ValueError("no such address: ä☃😀")),
    "raise a long text": lambda job: _raise(ValueError("ä" * 10_000)),
    "raise deep down": _recurse,
    "raise a cause": _chain,
    "raise without a text": lambda job: _raise(_WithoutText()),
    "exit": lambda job: _raise(SystemExit(3)),
    "unrecoverable": lambda job: _raise(UnrecoverableJobError("no such customer")),
    "rate limit": lambda job: _raise(RateLimitError(5000)),
    "rate limit badly": lambda job: _raise(RateLimitError(0)),
    "rate limit in a group": lambda job: _raise(BaseExceptionGroup("tasks", [RateLimitError(5000)])),
    "delay": lambda job: job.move_to_delayed(1_790_000_060_000),
    "delay badly": lambda job: job.move_to_delayed(2_100_000_000_000),
    "wait for children": lambda job: job.move_to_waiting_children(),
    "return bytes": lambda job: b"no JSON",
    "return NaN": lambda job: float("nan"),
    "return much": lambda job: "x" * 5000,
    "describe": lambda job: [job.id, job.name, job.attempts_made, job.queue_name, job.delivery_id, job.parent],
    "trace": _trace,
}


def _workers() -> list[Worker]:
    blocking, awaited = Worker("blocking"), Worker("awaited")
    for name, body in BODIES.items():
        blocking.processor(name)(_as_def(body))
        awaited.processor(name)(_as_async_def(body))
    _add_typed(blocking, awaited)
    _add_overrunning(blocking, awaited)
    _add_meeting(blocking, awaited)
    return [blocking, awaited, Worker("emails", _as_def(BODIES["echo"]))]


def _as_def(body: Body) -> t.Callable[[Job[t.Any]], t.Any]:
    def process(job: Job[t.Any]) -> t.Any:
        return body(job)

    return process


def _as_async_def(body: Body) -> t.Callable[[AsyncJob[t.Any]], t.Coroutine[t.Any, t.Any, t.Any]]:
    async def process(job: AsyncJob[t.Any]) -> t.Any:
        return body(job)

    return process


def _add_typed(blocking: Worker, awaited: Worker) -> None:
    @blocking.processor("order")
    def order(job: Job[Order]) -> int:
        return job.data.number

    @awaited.processor("order")
    async def async_order(job: AsyncJob[Order]) -> int:
        return job.data.number


def _add_overrunning(blocking: Worker, awaited: Worker) -> None:
    @blocking.processor("overrun")
    def overrun(job: Job[t.Any]) -> None:
        threading.Event().wait(job.time_left() + 1)  # no thread may outlive the tests for long

    @awaited.processor("overrun")
    async def async_overrun(job: AsyncJob[t.Any]) -> None:
        await asyncio.Event().wait()


def _add_meeting(blocking: Worker, awaited: Worker) -> None:
    barrier = threading.Barrier(MEETING)
    async_barriers: dict[asyncio.AbstractEventLoop, asyncio.Barrier] = {}

    @blocking.processor("meet")
    def meet(job: Job[t.Any]) -> t.Any:
        barrier.wait(job.time_left())
        return job.data

    @awaited.processor("meet")
    async def async_meet(job: AsyncJob[t.Any]) -> t.Any:
        loop = asyncio.get_running_loop()
        await async_barriers.setdefault(loop, asyncio.Barrier(MEETING)).wait()
        return job.data


WORKERS = _workers()


def vector_setup(vector: Vector) -> str:
    """Return the setup with the vector's secrets."""
    secrets = [vector.secrets for vector in REQUESTS]
    return f"vector-{secrets.index(vector.secrets)}"


def mount_of(setup: str) -> str:
    """Where a setup is mounted."""
    return f"/{setup}/nextmq"


def setups() -> dict[str, Options]:
    """Each setup's options, whole, with guards of their own."""
    particular: dict[str, Options] = {
        "plain": {},
        "small": {"max_body_size": SMALL},
        "impatient": {"body_timeout": 0.1},
        "half-a-second": {"body_timeout": 0.5},
        "silent": {"expose_stack": False},
        "guarded": {"replay_guard": MemoryReplayGuard()},
        "broken-guard": {"replay_guard": BrokenGuard()},
        "a-b-c": {"webhook_secrets": [SECRET, SECOND_SECRET, THIRD_SECRET]},
        "c-b-a": {"webhook_secrets": [THIRD_SECRET, SECOND_SECRET, SECRET]},
        "b": {"webhook_secrets": SECOND_SECRET},
        "words": {"webhook_secrets": f"{SECOND_SECRET} {SECRET}"},
        **{vector_setup(vector): {"webhook_secrets": vector.secrets} for vector in REQUESTS},
    }
    return {
        name: {
            "webhook_secrets": SECRET,
            "app_url": f"https://app.example{mount_of(name)}",
            "clock": lambda: float(NOW),
            **options,
        }
        for name, options in particular.items()
    }
