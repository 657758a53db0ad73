"""Histories: what producers do to queues, and how the jobs' processors end. Each has one possible result.

Time is real on one of the two sides, and the machine may be busy. So jobs are added while their queues are
paused, no two things are due at nearly the same time where it matters which is first, and `is_ordered` says
whether the order of the starts is determined at all.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from hypothesis import strategies as st

Act = tuple[str, t.Any]
Script = list[list[Act]]
"""For each start what the processor does: the last one again where there are more starts."""

FAR = 600_000
"""A delay, in ms, whose end no run waits for."""


@dataclass(frozen=True)
class PlannedJob:
    """A job: its name is its own, `opts` are the SDK's, `children` are its flow's."""

    name: str
    opts: dict[str, t.Any]
    script: Script
    queue: str = "a"
    children: list[PlannedJob] = field(default_factory=list)


@dataclass(frozen=True)
class Op:
    """What a producer does: a method of Player, and what it is called with."""

    name: str
    arguments: dict[str, t.Any]


@dataclass(frozen=True)
class History:
    """`phases` are done one after the other; after each the queues run until nothing is left to do."""

    kind: str
    phases: list[list[Op]]
    worker: dict[str, t.Any]
    is_ordered: bool
    worked_on: tuple[str, ...] = ("a",)

    @property
    def queues(self) -> tuple[str, ...]:
        """The queues that may have jobs."""
        return (*self.worked_on, "a-dlq") if "dead_letter" in self.worker else self.worked_on


def op(name: str, **arguments: t.Any) -> Op:
    return Op(name, arguments)


def sometimes(values: st.SearchStrategy[t.Any]) -> st.SearchStrategy[t.Any]:
    """One of the values, or None: then it is not given."""
    return st.none() | values


def options(**members: st.SearchStrategy[t.Any]) -> st.SearchStrategy[dict[str, t.Any]]:
    made = st.fixed_dictionaries({name: sometimes(member) for name, member in members.items()})
    return made.map(lambda opts: {name: value for name, value in opts.items() if value is not None})


JSON = st.sampled_from([None, 0, 1.5, "é", [1, [2]], {"a": None}])
ENDS: st.SearchStrategy[Act] = st.one_of(
    st.tuples(st.just("return"), JSON),
    st.tuples(st.just("return"), JSON),
    st.tuples(st.just("throw"), st.sampled_from(["boom", "", "naïve"])),
    st.tuples(st.just("unrecoverable"), st.just("no way")),
)
NOTES: st.SearchStrategy[list[Act]] = st.lists(
    st.one_of(st.tuples(st.just("log"), st.just("row")), st.tuples(st.just("progress"), JSON)), max_size=2
)


def scripts(*more: st.SearchStrategy[Act]) -> st.SearchStrategy[Script]:
    """`more` are ends after which the job starts again, so the last start has another one."""
    first = st.lists(st.one_of(ENDS, *more), max_size=2)
    starts = st.tuples(first, ENDS).map(lambda parts: [*parts[0], parts[1]])
    return st.tuples(NOTES, starts).map(lambda parts: [[*parts[0], end] for end in parts[1]])


KEEP = st.one_of(st.just(True), st.just(False), st.integers(0, 2), st.just({"count": 1}), st.just({"age": 3600}))
ORDER_OPTIONS = options(
    priority=st.integers(0, 3),
    lifo=st.booleans(),
    attempts=st.integers(1, 3),
    backoff=st.just(0),
    job_id=st.sampled_from(["x", "y"]),
    remove_on_complete=KEEP,
    remove_on_fail=KEEP,
    stack_trace_limit=st.integers(0, 2),
    keep_logs=st.integers(0, 2),
)


@st.composite
def jobs(
    draw: st.DrawFn, opts: st.SearchStrategy[t.Any], script: st.SearchStrategy[Script], prefix: str, most: int
) -> list[PlannedJob]:
    count = draw(st.integers(1, most))
    return [PlannedJob(f"{prefix}{number}", draw(opts), draw(script)) for number in range(count)]


@st.composite
def orders(draw: st.DrawFn) -> History:
    """Draw histories about order: priorities, lifo, immediate retries, promotion, taken ids, kept jobs."""
    first = draw(jobs(ORDER_OPTIONS, scripts(), "j", 7))
    names = st.sampled_from([job.name for job in first])
    steps = [op("add", jobs=first[:3]), op("add_bulk", jobs=first[3:])] if draw(st.booleans()) else []
    steps = steps or [op("add_bulk", jobs=first)]
    late = draw(st.booleans())
    if late:
        opts = {"delay": FAR, "priority": draw(st.integers(0, 2))}
        steps.append(op("add", jobs=[PlannedJob("late", opts, [[("return", 1)]])]))
    changes = st.one_of(
        st.builds(lambda name, p, lifo: op("change_priority", job=name, priority=p, lifo=lifo), names,
                  st.integers(0, 3), st.booleans()),
        st.builds(lambda name: op("remove", job=name), names),
        st.builds(lambda name: op("promote", job=name), names),
        st.builds(lambda state: op("clean", state=state), st.sampled_from(["waiting", "prioritized"])),
    )  # fmt: skip
    steps += draw(st.lists(changes, max_size=2))
    if late:
        steps.append(
            draw(
                st.sampled_from(
                    [
                        op("promote", job="late"),
                        op("promote_jobs"),
                        op("change_delay", job="late", delay=0),
                        op("drain", delayed=True),
                        op("clean", state="delayed"),
                    ]
                )
            )
        )
    again = st.one_of(
        st.builds(lambda state: op("retry_jobs", state=state), st.sampled_from(["failed", "completed"])),
        st.builds(
            lambda name, state, made, started: op("retry", job=name, state=state, made=made, started=started),
            names, st.sampled_from(["failed", "completed"]), st.booleans(), st.booleans(),
        ),
        st.builds(lambda state: op("clean", state=state), st.sampled_from(["failed", "completed"])),
        st.just(op("redrive")),
        st.just(op("redrive")),
        st.just(op("drain", delayed=True)),
        st.just(op("obliterate")),
        st.builds(lambda new: op("add_bulk", jobs=new), jobs(ORDER_OPTIONS, scripts(), "k", 3)),
    )  # fmt: skip
    second = draw(st.lists(again, max_size=3, unique_by=lambda step: step.name))
    second.sort(key=lambda step: step.name == "obliterate")  # the last: the queue is not paused any more after it
    worker = draw(options(dead_letter=st.just(True)))
    return History("order", [steps, second] if second else [steps], worker, is_ordered=True)


@st.composite
def times(draw: st.DrawFn) -> History:
    """Draw histories about waiting: delays, backoffs, rate limits, processors that postpone a job."""
    backoffs = st.one_of(
        st.sampled_from([20, 40, {"type": "slow"}, {"type": "unknown"}]),
        st.builds(
            lambda kind, delay: {"type": kind, "delay": delay},
            st.sampled_from(["fixed", "exponential"]),
            st.sampled_from([15, 30]),
        ),
    )
    opts = options(
        delay=st.sampled_from([0, 150, 300]),
        attempts=st.integers(1, 4),
        backoff=backoffs,
        priority=st.integers(0, 2),
        lifo=st.booleans(),
    )
    ends = scripts(
        st.tuples(st.just("rate_limit"), st.sampled_from([10, 30])),
        st.tuples(st.just("put_off"), st.sampled_from([0, 20])),
    )
    planned = draw(jobs(opts, ends, "j", 5))
    worker = draw(options(limiter=st.just({"max": 2, "duration": 40}), dead_letter=st.just(True)))
    worker["backoff_strategies"] = {"slow": [10, 30]}
    acts = {act for job in planned for start in job.script for act, _ in start}
    given = {name for job in planned for name, value in job.opts.items() if value}
    nothing_waits = "delay" not in given and "put_off" not in acts and not ("backoff" in given and "throw" in acts)
    only_delays = not given & {"priority", "lifo"} and not acts & {"throw", "rate_limit", "put_off"}
    return History("time", [[op("add_bulk", jobs=planned)]], worker, is_ordered=nothing_waits or only_delays)


FLOW_OPTIONS = options(
    attempts=st.integers(1, 2),
    priority=st.integers(0, 2),
    remove_on_complete=st.just(True),
    remove_on_fail=st.just(True),
)
POLICIES = (
    "fail_parent_on_failure",
    "continue_parent_on_failure",
    "ignore_dependency_on_failure",
    "remove_dependency_on_failure",
)


@st.composite
def flows(draw: st.DrawFn) -> History:
    """Trees of jobs with the four policies, and jobs that get their children while they run."""
    queues = draw(st.sampled_from([("a",), ("a", "b")]))
    left = [draw(st.integers(1, 5))]
    root = draw_node(draw, queues, left, depth=3, is_root=True)
    steps = [op("add_flow", job=root)]
    changes = [op("clean", state="waiting"), op("remove_unprocessed_children", job=root.name)]
    steps += draw(st.lists(st.sampled_from(changes), max_size=1))
    if draw(st.booleans()):
        # In the same queue: one elsewhere might be done before the job waits for it, or after.
        child = PlannedJob("late_child", draw(policies()), [[draw(ENDS)]])
        script: Script = [[("child", child), ("wait_for_children", None)], [("children", None)]]
        steps.append(op("add", jobs=[PlannedJob("grows", {}, script)]))
    is_ordered = queues == ("a",)
    phases = [steps]
    if is_ordered and draw(st.booleans()):  # a parent and its child elsewhere would run at once
        again = draw(st.permutations([*names_of(root)]))
        phases.append([op("retry", job=name, state="failed", made=True, started=False) for name in again])
    return History("flow", phases, {}, is_ordered, queues)


def names_of(job: PlannedJob) -> t.Iterator[str]:
    yield job.name
    for child in job.children:
        yield from names_of(child)


@st.composite
def policies(draw: st.DrawFn, queues: tuple[str, ...] = ("a",)) -> dict[str, t.Any]:
    # In two queues, which run side by side, a parent that does not wait for all of its children may go on before
    # or after any of them.
    policy = draw(sometimes(st.sampled_from(POLICIES if queues == ("a",) else POLICIES[2:])))
    return {policy: True} if policy else {}


def draw_node(
    draw: st.DrawFn, queues: tuple[str, ...], left: list[int], *, depth: int, is_root: bool
) -> PlannedJob:
    name = f"n{left[0]}-{depth}"
    opts = {**draw(FLOW_OPTIONS), **({} if is_root else draw(policies(queues)))}
    children: list[PlannedJob] = []
    while depth > 1 and left[0] > 0 and (is_root or draw(st.booleans())):
        left[0] -= 1
        children.append(draw_node(draw, queues, left, depth=depth - 1, is_root=False))
    ends = st.one_of(ENDS, st.just(("children", None)))
    script = [[end] for end in draw(st.lists(ends, min_size=1, max_size=2))]
    return PlannedJob(name, opts, script, draw(st.sampled_from(queues)), children)


@st.composite
def duplicates(draw: st.DrawFn) -> History:
    """Deduplication in all of its modes."""
    mode = options(
        ttl=st.just(FAR), extend=st.just(True), replace=st.just(True), keep_last_if_active=st.just(True)
    )
    now = {"priority": st.integers(0, 2), "attempts": st.integers(1, 2)}

    def opts(**others: st.SearchStrategy[t.Any]) -> st.SearchStrategy[dict[str, t.Any]]:
        ids = st.sampled_from(["d1", "d1", "d2"])
        with_id = st.builds(lambda id, members: {"id": id, **members}, ids, mode)
        return st.builds(lambda given, named: {**given, "deduplication": named}, options(**others), with_id)

    phases: list[list[Op]] = []
    for phase in "jk":
        planned = draw(jobs(opts(delay=st.just(FAR), **now), scripts(), phase, 4))
        if draw(st.booleans()):
            acts: list[Act] = [("add", PlannedJob(f"{phase}again", draw(opts(**now)), [[draw(ENDS)]])), draw(ENDS)]
            planned.insert(0, PlannedJob(f"{phase}adds", draw(opts(**now)), [acts]))
        phases.append([op("add", jobs=planned), op("promote_jobs")])
    phases[1][:0] = draw(st.sampled_from([[], [op("remove_deduplication_key", id="d1")]]))
    return History("duplicates", phases, {}, is_ordered=True)


@st.composite
def schedulers(draw: st.DrawFn) -> History:
    """Job schedulers with a limit, made, changed, made again, removed."""
    repeat = st.one_of(
        st.builds(lambda every, limit: {"every": every, "limit": limit}, st.sampled_from([40, 80]),
                  st.integers(1, 3)),
        st.builds(lambda limit: {"pattern": "* * * * * *", "limit": limit}, st.integers(1, 2)),
    )  # fmt: skip
    template = st.builds(
        lambda script, opts: {"script": script, "opts": opts},
        scripts(),
        options(attempts=st.integers(1, 2), priority=st.integers(0, 2), lifo=st.booleans()),
    )

    def upserts(*ids: str) -> st.SearchStrategy[Op]:
        return st.builds(
            lambda id, repeat, template: op("upsert_scheduler", id=id, repeat=repeat, **template),
            st.sampled_from(ids),
            repeat,
            template,
        )

    def several(least: int) -> st.SearchStrategy[list[Op]]:
        return st.lists(
            upserts("s1", "s2"), min_size=least, max_size=2, unique_by=lambda step: step.arguments["id"]
        )

    phases = [draw(several(1)), draw(several(0))]
    # One is changed at once only where it is `every`, whose first job waits already: another might become due.
    if "every" in phases[0][0].arguments["repeat"] and draw(st.booleans()):
        phases[0].append(draw(upserts(phases[0][0].arguments["id"])))
    if draw(st.booleans()):
        new_year = {"pattern": "0 0 1 1 *", "tz": draw(st.sampled_from(["UTC", "Asia/Tokyo"]))}
        phases[0].append(op("upsert_scheduler", id="s3", repeat=new_year, script=[[("return", 1)]], opts={}))
        phases[0].append(op("remove_scheduler", id="s3"))
    return History("scheduler", [phase for phase in phases if phase], {}, is_ordered=False)


HISTORIES: st.SearchStrategy[History] = st.one_of(
    orders(), orders(), times(), times(), flows(), flows(), duplicates(), schedulers()
)
