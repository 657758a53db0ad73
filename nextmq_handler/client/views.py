"""The server's answers about queues, schedulers and triggers, as objects."""

from __future__ import annotations

import typing as t

from ..protocol.outcomes import OutcomeName
from ..rules.states import JobState as JobState
from ..rules.views import LastDelivery
from ._http.answer import Reader, member, optional, whole

FinishedState = t.Literal["completed", "failed"]


class JobLogs(t.TypedDict):
    """Some of a job's log rows, and how many there are in all."""

    logs: list[str]
    count: int


class Dependencies(t.TypedDict):
    """A parent's children by `queue:id`: results, open ones, ignored failures with their reasons, failed ones."""

    processed: dict[str, t.Any]
    unprocessed: list[str]
    ignored: dict[str, str]
    failed: list[str]


class DependenciesCount(t.TypedDict):
    """How many children a parent has of each kind."""

    processed: int
    unprocessed: int
    ignored: int
    failed: int


class RateLimit(t.TypedDict):
    """At most `max` jobs start in each `duration` ms."""

    max: int
    duration: int


class MetricsMeta(t.TypedDict):
    """All jobs so far, and the time (`prev_ts`, ms since the epoch) and count at the last whole minute."""

    count: int
    prev_ts: int
    prev_count: int


class Metrics(t.TypedDict):
    """How many jobs finished in each minute, the newest first; `count` is the number of minutes."""

    meta: MetricsMeta
    data: list[int]
    count: int


class JobDelivery(t.TypedDict):
    """A delivery that ended: when it was sent (`at`, ms since the epoch), how long it took, and its outcome.

    `status` is None if no HTTP answer came. `detail` says why an attempt failed or is retried later. A server of
    version 0.1 leaves the others out: `attempt` is the number of the attempt, and `usedAttempt` whether the
    delivery used it. `isSigned`: the answer was an outcome of the app; otherwise `excerpt` has its beginning.
    `server` is the id of the process that sent the delivery.
    """

    deliveryId: str
    at: int
    status: int | None
    ms: int
    outcome: t.Literal[OutcomeName, "held"]
    detail: str | None
    attempt: t.NotRequired[int]
    usedAttempt: t.NotRequired[bool]
    isSigned: t.NotRequired[bool]
    excerpt: t.NotRequired[str | None]
    server: t.NotRequired[str | None]


class JobLock(t.TypedDict):
    """Who processes a job: "server …" or "BullMQ worker …". Unless renewed, the lock ends in `expiresIn` ms."""

    owner: str
    expiresIn: int


class QueueHold(t.TypedDict):
    """Why a queue's endpoint gets no deliveries. Times are ms since the epoch.

    A disabled endpoint has no `until`: its app must register again.
    """

    kind: t.Literal["unreachable", "throttled", "breaker", "disabled"]
    since: int
    until: int | None
    detail: str


class WhyCause(t.TypedDict):
    """A cause that keeps a queue or a job from running: a stable code, a sentence, and what ends it.

    `remedy` has "text" and "command", which is None if there is no command for it. `since` and `until` are ms
    since the epoch. `age` is how old, in ms, the fact is, if a server process published it.
    """

    code: str
    sentence: str
    remedy: dict[str, t.Any]
    since: int | None
    until: int | None
    age: int | None
    details: dict[str, t.Any]


class QueueView(t.NamedTuple):
    """A queue as it is now. `concurrency` has "global" and "worker"; `rate_limit_ttl` is ms.

    `state` is None from a server that does not tell yet. `nearest` is the queue with a worker that was perhaps
    meant, `oldest_waiting` how long, in ms, the oldest of the next jobs has waited. It gets the dead letters of
    `dead_letters_of`.
    """

    name: str
    is_paused: bool
    counts: dict[str, int]
    concurrency: dict[str, int | None]
    rate_limit: RateLimit | None
    rate_limit_ttl: int
    worker: dict[str, t.Any] | None
    hold: QueueHold | None = None
    state: str | None = None
    cause: str | None = None
    nearest: str | None = None
    oldest_waiting: int | None = None
    last_delivery: LastDelivery | None = None
    dead_letters_of: list[str] | None = None


class EndpointProbe(t.NamedTuple):
    """What the server found at the URL of a queue's app, what to do about it, and how long it took (ms).

    `status` is None if no HTTP answer came. "reached" is the only `verdict` with which deliveries get through.
    """

    reached: bool
    verdict: t.Literal["reached", "wrong_secret", "wrong_path", "refused", "unreachable", "not_a_handler"]
    url: str
    status: int | None
    ms: int
    detail: str
    fix: str


class LastRun(t.TypedDict):
    """The job that a scheduler started last; its state is "unknown" once it is removed."""

    jobId: str
    state: JobState
    finishedOn: int | None


class StartedRun(t.TypedDict):
    """The job that was added to run a scheduler at once."""

    id: str


class JobScheduler(t.NamedTuple):
    """A job scheduler. `every` and `offset` are ms; dates and `next` are ms since the epoch.

    `template` has "data" and "opts"; the options have BullMQ's names. `last` is the job that was started last.
    `overdue_by` is for how many ms the next one should have started, None if it is not overdue.
    """

    id: str
    name: str
    every: int | None
    pattern: str | None
    tz: str | None
    limit: int | None
    offset: int | None
    start_date: int | None
    end_date: int | None
    next: int | None
    iteration_count: int
    template: dict[str, t.Any]
    last: LastRun | None = None
    overdue_by: int | None = None


class TriggerRun(t.TypedDict):
    """A request of a trigger: when it was sent (ms since the epoch), which attempt it was, and its outcome."""

    at: int
    attempt: int
    status: int | None
    outcome: t.Literal["succeeded", "failed"]
    durationMs: int
    error: str | None


class Trigger:
    """A request that the server sends by a schedule. `next` is ms since the epoch, `timeout` s.

    `secret` signs its requests. Only `create` returns it, and the repr does not show it.
    """

    def __init__(self, view: dict[str, t.Any]) -> None:
        self.id: str = view["id"]
        self.name: str | None = view["name"]
        self.url: str = view["url"]
        self.payload: t.Any = view["payload"]
        self.repeat: dict[str, t.Any] = view["repeat"]
        self.attempts: int = view["attempts"]
        self.backoff: t.Any = view["backoff"]
        self.timeout: float | None = None if view["timeout"] is None else view["timeout"] / 1000
        self.is_paused: bool = view["isPaused"]
        self.next: int | None = view["next"]
        self.last_run: TriggerRun | None = view["lastRun"]
        self.secret: str | None = view.get("secret")

    def __repr__(self) -> str:
        return f"<Trigger {self.id} {self.url}>"


job_logs: Reader[JobLogs] = whole(JobLogs)
dependencies: Reader[Dependencies] = whole(Dependencies)
dependencies_count: Reader[DependenciesCount] = member("counts", DependenciesCount)
rate_limit: Reader[RateLimit | None] = optional("rateLimit", RateLimit)
causes: Reader[list[WhyCause]] = member("causes", list[WhyCause])
metrics: Reader[Metrics] = whole(Metrics)
queue_view: Reader[QueueView] = whole(QueueView)
endpoint_probe: Reader[EndpointProbe] = whole(EndpointProbe)
job_scheduler: Reader[JobScheduler] = whole(JobScheduler)
