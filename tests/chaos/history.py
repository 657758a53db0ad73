"""A history: which jobs are added and which faults happen meanwhile, all from one seed."""

from __future__ import annotations

import random
import typing as t

from nextmq_handler import JobOptions

WORK, LIMITED, PARENTS = "work", "limited", "parents"
QUEUES = (WORK, LIMITED, PARENTS)
DEAD_LETTERS = f"{WORK}-dlq"

SERVERS = ("server 0", "server 1")
VALKEY, RECEIVER = "valkey", "receiver"
REDIS_LINK, DELIVERY_LINK = "servers to valkey", "servers to receiver"

_MAX_CHILDREN = 4

Step = t.Literal["done", "fail", "unrecoverable", "later", "rate limit", "crash before", "crash after"]
"""What one start of a job does. "later" is `move_to_delayed`; a crash comes before or after the effect."""

_FIRST_STEPS: dict[Step, float] = {
    "done": 60,
    "fail": 20,
    "later": 8,
    "rate limit": 0.5,
    "unrecoverable": 3,
    "crash before": 0.6,
    "crash after": 0.6,
}

Kind = t.Literal["kill", "cut", "stall", "lose answers"]

_LINK_KINDS: tuple[Kind, ...] = ("cut", "stall", "lose answers")
_VICTIMS = (
    (SERVERS[0],),
    (SERVERS[1],),
    (VALKEY,),
    (RECEIVER,),
    (RECEIVER,),
    SERVERS,
    (SERVERS[0], VALKEY),
    (SERVERS[1], RECEIVER),
    (*SERVERS, VALKEY, RECEIVER),
)


class PlannedJob(t.NamedTuple):
    """A job: `number` is unique, `steps` are what its starts do, `work` is how long (ms) each takes."""

    number: int
    queue: str
    opts: JobOptions
    steps: tuple[Step, ...]
    work: int

    @property
    def data(self) -> dict[str, t.Any]:
        """The data that the receiver gets."""
        return {"number": self.number, "steps": self.steps, "work": self.work}


class Addition(t.NamedTuple):
    """One call of the producer: a job, a bulk or a flow whose first job is the parent.

    With `is_repeated` the call is made a second time, with the same idempotency key and another server.
    """

    key: str
    server: int
    jobs: tuple[PlannedJob, ...]
    is_flow: bool = False
    is_repeated: bool = False


class Fault(t.NamedTuple):
    """A fault of `targets`, parts or links, that lasts `lasts` s."""

    kind: Kind
    targets: tuple[str, ...]
    lasts: float

    def __str__(self) -> str:
        return f"{self.kind} {', '.join(self.targets)} for {self.lasts:.2f} s"

    @property
    def kills(self) -> int:
        """The number of processes that get a SIGKILL."""
        return len(self.targets) if self.kind == "kill" else 0


class Round(t.NamedTuple):
    """Additions, and a fault `wait` s after the first of their jobs have ended."""

    additions: list[Addition]
    wait: float
    fault: Fault


def make_history(seed: int, *, jobs: int, kills: int) -> list[Round]:
    """Build a history of at least `jobs` jobs and `kills` SIGKILLs, with a round for each fault."""
    luck = random.Random(seed)
    faults = _faults(luck, kills)
    additions = _additions(luck, jobs)
    bounds = [round(number * len(additions) / len(faults)) for number in range(len(faults) + 1)]
    return [
        Round(additions[first:end], luck.uniform(0, 0.5), fault)
        for first, end, fault in zip(bounds, bounds[1:], faults, strict=False)
    ]


def _faults(luck: random.Random, kills: int) -> list[Fault]:
    """Yield shuffled decks of all kinds until there are enough kills."""
    faults: list[Fault] = []
    while sum(fault.kills for fault in faults) < kills:
        deck: list[tuple[Kind, tuple[str, ...]]] = [("kill", victims) for victims in _VICTIMS]
        deck += [(kind, (link,)) for kind in _LINK_KINDS for link in (REDIS_LINK, DELIVERY_LINK)]
        luck.shuffle(deck)
        for kind, targets in deck:
            # Locks end after 3 s: a longer stall loses those of all that runs.
            faults.append(Fault(kind, targets, luck.uniform(0, 4 if kind == "stall" else 1)))
            if sum(fault.kills for fault in faults) >= kills:
                break
    return faults


def _additions(luck: random.Random, jobs: int) -> list[Addition]:
    additions: list[Addition] = []
    made = 0
    while made < jobs:
        kind = luck.choices(("job", "bulk", "flow"), (80, 12, 8))[0]
        if kind == "flow":
            size = 1 + luck.randint(1, _MAX_CHILDREN)
            batch = (_parent(luck, made), *(_child(luck, made + number) for number in range(1, size)))
        else:
            size = luck.randint(2, 12) if kind == "bulk" else 1
            queue = luck.choices((WORK, LIMITED), (9, 1))[0]
            batch = tuple(_job(luck, made + number, queue) for number in range(size))
        made += size
        key, server = f"addition-{len(additions)}", luck.randrange(len(SERVERS))
        additions.append(Addition(key, server, batch, kind == "flow", luck.random() < 0.1))
    return additions


def _job(luck: random.Random, number: int, queue: str) -> PlannedJob:
    opts: JobOptions = {"attempts": luck.randint(1, 5)}
    if luck.random() < 0.5:
        opts["backoff"] = {"type": luck.choice(("fixed", "exponential")), "delay": luck.randint(10, 100)}
    if luck.random() < 0.2:
        opts["delay"] = luck.randint(1, 500)
    if luck.random() < 0.2:
        opts["priority"] = luck.randint(1, 10)
    elif luck.random() < 0.2:
        opts["lifo"] = True
    first = luck.choices(list(_FIRST_STEPS), list(_FIRST_STEPS.values()), k=luck.randint(1, 3))
    steps: tuple[Step, ...] = (*first, luck.choices(("done", "fail"), (9, 1))[0])
    work = luck.choices((0, luck.randint(1, 100), luck.randint(100, 1000)), (50, 40, 10))[0]
    return PlannedJob(number, queue, opts, steps, work)


def _parent(luck: random.Random, number: int) -> PlannedJob:
    return PlannedJob(number, PARENTS, {"attempts": luck.randint(1, 5)}, ("done",), 0)


def _child(luck: random.Random, number: int) -> PlannedJob:
    job = _job(luck, number, WORK)
    if luck.random() < 0.5:
        job.opts["fail_parent_on_failure"] = True
    else:
        job.opts["ignore_dependency_on_failure"] = True
    return job
