"""Put a real queue into each state that keeps a job from running, and end it by what the remedy says."""

from __future__ import annotations

import base64
import typing as t

import httpx

from nextmq_server.engine.scripts.holds import Holds, Kind, Trouble
from nextmq_server.engine.scripts.scripts import QueueScripts
from nextmq_server.engine.worker.gate import Gate
from nextmq_server.engine.worker.options import RunnerOptions
from nextmq_server.projects.projects import Project
from nextmq_server.redis.address import Address
from nextmq_server.redis.connection import RedisConnection
from nextmq_server.service import Service

QUEUE = "emails"
CHILD_QUEUE = "thumbnails"
HOUR = 3_600_000

Wait = t.Callable[[t.Callable[[], t.Any]], t.Awaitable[None]]


class StandIn(t.Protocol):
    """An app that answers deliveries at `url`: each with `outcome`, while `gate` is open."""

    url: str
    outcome: dict[str, t.Any]
    gate: t.Any

    def registration(self, **changes: t.Any) -> dict[str, t.Any]: ...


class Stage:
    """A server of one project, its API, and an app that is not registered yet."""

    def __init__(
        self,
        api: httpx.AsyncClient,
        service: Service,
        project: Project,
        app: StandIn,
        valkey_url: str,
        wait: Wait,
    ) -> None:
        self.api = api
        self.service = service
        self.project = project
        self.app = app
        self.wait = wait
        self._address = Address(valkey_url)
        self._fingerprints = 0
        self.connections: list[RedisConnection] = []

    def scripts(self, queue: str = QUEUE) -> QueueScripts:
        return self.service.jobs.scripts(queue)

    async def redis(self, *command: str | int) -> t.Any:
        return await self.scripts().connection.execute(*command)

    async def call(self, method: str, path: str, body: object = None) -> t.Any:
        answer = await self.api.request(method, f"/v1/{path}", json=body)
        assert answer.is_success, answer.text
        return answer.json()

    async def add(self, queue: str = QUEUE, **opts: t.Any) -> str:
        return str((await self.call("POST", f"queues/{queue}/jobs", {"name": "work", "opts": opts}))["id"])

    async def register(self, queue: str = QUEUE, **options: t.Any) -> None:
        self._fingerprints += 1
        named = f"f{self._fingerprints}"
        body = self.app.registration(options=options, fingerprint=named, deploy=True)
        await self.call("PUT", f"queues/{queue}/worker", body)

    async def state(self, job: str, queue: str = QUEUE) -> str:
        return str((await self.call("GET", f"queues/{queue}/jobs/{job}"))["state"])

    async def until(self, job: str, state: str, queue: str = QUEUE) -> None:
        async def is_there() -> bool:
            return await self.state(job, queue) == state

        await self.wait(is_there)

    async def run_one(self) -> None:
        await self.until(await self.add(), "completed")

    async def hold(self, kind: Kind, *, for_good: bool = False) -> None:
        """Hold the queue as a delivery that fails does."""
        age = 0 if for_good else 10 * HOUR
        trouble = Trouble(kind, "cannot connect", 60_000, 60_000, 1.0, disable_after=age)
        await Holds(self.scripts()).fail(trouble)

    async def fetch(self, token: str) -> None:
        """Start the next job as a process that is killed after that."""
        found = await Gate(self.scripts()).fetch(token, RunnerOptions().for_scripts())
        assert found.fields is not None

    async def connect(self, name: str) -> None:
        """Connect to Redis under this name."""
        connection = RedisConnection(self._address, name=name)
        await connection.connect()
        self.connections.append(connection)

    async def why(self, job: str | None = None, queue: str = QUEUE) -> list[dict[str, t.Any]]:
        path = f"queues/{queue}/why" if job is None else f"queues/{queue}/jobs/{job}/why"
        return list((await self.call("GET", path))["causes"])


Step = t.Callable[[Stage], t.Awaitable[None]]


class Injection(t.NamedTuple):
    """A cause: make it, then add the job that it keeps, and end it as its remedy says.

    `sentence` is a part of what is said, `command` the remedy's command with JOB for the job's id. `others` are
    the causes that come with it.
    """

    make: Step
    end: t.Callable[[Stage, str], t.Awaitable[None]]
    sentence: str
    command: str | None
    opts: t.Mapping[str, t.Any] = {}
    others: frozenset[str] = frozenset()


def _calls(method: str, path: str, body: object = None) -> t.Callable[[Stage, str], t.Awaitable[None]]:
    async def end(stage: Stage, job: str) -> None:
        await stage.call(method, path.replace("JOB", job), body)

    return end


async def _registered(stage: Stage) -> None:
    await stage.register(concurrency=5)


async def _register(stage: Stage, job: str) -> None:
    await stage.register(concurrency=5)


async def _paused(stage: Stage) -> None:
    await stage.register()
    await stage.call("POST", f"queues/{QUEUE}/pause")


async def _misspelt(stage: Stage) -> None:
    await stage.register("email")


async def _node_only(stage: Stage) -> None:
    await stage.connect(f"{stage.project.prefix}:{base64.b64encode(QUEUE.encode()).decode()}")


def _held(kind: Kind) -> Step:
    async def make(stage: Stage) -> None:
        await stage.register()
        await stage.hold(kind)

    return make


async def _disabled(stage: Stage) -> None:
    await stage.register()
    await stage.hold("unreachable", for_good=True)


async def _throttled(stage: Stage) -> None:
    await stage.register()
    await stage.call("PUT", f"queues/{QUEUE}/rate-limited", {"duration": 60_900})


async def _limiter(stage: Stage) -> None:
    await stage.register(limiter={"max": 1, "duration": HOUR})
    await stage.run_one()


async def _global_limit(stage: Stage) -> None:
    await stage.register()
    await stage.call("PUT", f"queues/{QUEUE}/rate-limit", {"max": 1, "duration": HOUR})
    await stage.run_one()


async def _global_concurrency(stage: Stage) -> None:
    await stage.call("PUT", f"queues/{QUEUE}/concurrency", {"concurrency": 1})
    await stage.register(concurrency=5)
    await _running(stage)


async def _worker_concurrency(stage: Stage) -> None:
    await stage.register(concurrency=1)
    await _running(stage)


async def _running(stage: Stage) -> None:
    """Let a job run until the app's gate opens."""
    stage.app.gate.clear()
    await stage.until(await stage.add(), "active")


async def _open_gate(stage: Stage, job: str) -> None:
    stage.app.gate.set()


async def _more_at_once(stage: Stage, job: str) -> None:
    await stage.register(concurrency=2)
    stage.app.gate.set()


async def _unlimited(stage: Stage, job: str) -> None:
    await stage.call("DELETE", f"queues/{QUEUE}/concurrency")
    await stage.wait(lambda: _is_not_waiting(stage, job))
    stage.app.gate.set()


async def _is_not_waiting(stage: Stage, job: str) -> bool:
    return await stage.state(job) != "waiting"


async def _behind(stage: Stage) -> None:
    await _worker_concurrency(stage)
    await stage.add()


async def _failing(stage: Stage) -> None:
    stage.app.outcome = {"outcome": "failed", "error": {"name": "ValueError", "message": "no such address"}}
    await stage.register()


async def _promoted(stage: Stage, job: str) -> None:
    stage.app.outcome = {"outcome": "completed", "returnValue": None}
    await stage.call("POST", f"queues/{QUEUE}/jobs/{job}/promote")


async def _gate_closed(stage: Stage) -> None:
    stage.app.gate.clear()
    await stage.register()


async def _works_again(stage: Stage, job: str) -> None:
    stage.app.outcome = {"outcome": "completed", "returnValue": None}
    await stage.call("POST", f"queues/{QUEUE}/jobs/{job}/retry", {"state": "failed"})


async def _checked_often(stage: Stage, job: str) -> None:
    await stage.register(stalledInterval=1000, lockDuration=1000)


async def _nothing(stage: Stage) -> None:
    """Leave the queue as it is: the job is fetched by a process that dies."""


_END_REST = f"nextmq limits {QUEUE} --end-rest"
_REGISTER = "nextmq register MODULE:HANDLER"
_ended = _calls("DELETE", f"queues/{QUEUE}/rate-limited")

INJECTIONS: dict[str, Injection] = {
    "paused": Injection(
        _paused, _calls("POST", f"queues/{QUEUE}/resume"), "is paused: 1 job waits", f"nextmq resume {QUEUE}"
    ),
    "no_worker": Injection(
        _misspelt, _register, 'has 1 waiting job and no worker; did you mean "email"?', _REGISTER
    ),
    "node_only": Injection(_node_only, _register, "only 1 BullMQ worker of another process", _REGISTER),
    "disabled": Injection(_disabled, _register, "the endpoint is disabled since", _REGISTER),
    "held_unreachable": Injection(_held("unreachable"), _ended, "cannot connect; the next try is in", _END_REST),
    "held_throttled": Injection(_held("throttled"), _ended, "cannot connect; the next try is in", _END_REST),
    "breaker": Injection(_held("breaker"), _ended, "cannot connect; the next try is in", _END_REST),
    "throttled": Injection(_throttled, _ended, "asked the queue to rest for 60 s more", _END_REST),
    "limiter": Injection(_limiter, _ended, "limiter of 1 start in 60 min is reached", _END_REST),
    "global_limit": Injection(
        _global_limit,
        _calls("DELETE", f"queues/{QUEUE}/rate-limit"),
        "rate limit of 1 start in 60 min is reached",
        f"nextmq limits {QUEUE} --rate none",
    ),
    "global_concurrency": Injection(
        _global_concurrency,
        _unlimited,
        "global concurrency of 1 is full, by 1 running job (1)",
        f"nextmq limits {QUEUE} --concurrency none",
    ),
    "worker_concurrency": Injection(
        _worker_concurrency, _more_at_once, "concurrency of 1 is full, by 1 running job (1)", _REGISTER
    ),
    "delayed": Injection(
        _registered,
        _calls("POST", f"queues/{QUEUE}/jobs/JOB/promote"),
        "it is due in 59 min",
        f"nextmq promote {QUEUE} JOB",
        {"delay": HOUR},
    ),
    "backoff": Injection(
        _failing,
        _promoted,
        "attempt 1 failed: ValueError: no such address; the next one starts in 59 min",
        f"nextmq promote {QUEUE} JOB",
        {"attempts": 2, "backoff": {"type": "fixed", "delay": HOUR}},
    ),
    "priority": Injection(
        _behind,
        _open_gate,
        "1 job of a more urgent priority than its 5 start first",
        None,
        {"priority": 5},
        frozenset({"worker_concurrency"}),
    ),
    "behind": Injection(
        _behind, _open_gate, "1 job ahead of it start first", None, {}, frozenset({"worker_concurrency"})
    ),
    "active": Injection(_gate_closed, _open_gate, "the job runs for", None),
    "finished": Injection(
        _failing, _works_again, "after 1 attempt: ValueError: no such address", f"nextmq retry {QUEUE} JOB"
    ),
    "server_gone": Injection(_nothing, _register, "has sent no heartbeat for 10 s", None),
    "lock_lost": Injection(_nothing, _checked_often, "is active for", None, {}, frozenset({"no_worker"})),
}
"""Each code that a job of one queue can have, and those that come with it."""

AFTER_ADDING: dict[str, t.Callable[[Stage, str], t.Awaitable[None]]] = {}
"""What has to happen after the job was added, until the cause is there."""


def _after(code: str) -> t.Callable[[t.Callable[[Stage, str], t.Awaitable[None]]], None]:
    def note(step: t.Callable[[Stage, str], t.Awaitable[None]]) -> None:
        AFTER_ADDING[code] = step

    return note


@_after("backoff")
async def _until_delayed(stage: Stage, job: str) -> None:
    await stage.until(job, "delayed")


@_after("finished")
async def _until_failed(stage: Stage, job: str) -> None:
    await stage.until(job, "failed")


@_after("active")
async def _until_active(stage: Stage, job: str) -> None:
    await stage.until(job, "active")


@_after("server_gone")
async def _fetched_by_a_dead_server(stage: Stage, job: str) -> None:
    await stage.fetch("nmq-dead:1")


@_after("lock_lost")
async def _fetched_and_unlocked(stage: Stage, job: str) -> None:
    await stage.fetch("somebody")
    await stage.redis("DEL", stage.scripts().key(job, "lock"))


async def inject(stage: Stage, code: str) -> str:
    """Bring the stage into the state, and return the id of the job that the cause keeps from running."""
    injection = INJECTIONS[code]
    await injection.make(stage)
    job = await stage.add(**injection.opts)
    if code in AFTER_ADDING:
        await AFTER_ADDING[code](stage, job)
    return job
