"""Jobs as producers see them: read and change them. `adding` adds them."""

from __future__ import annotations

import asyncio
import typing as t

from nextmq_handler.protocol import strict_json
from nextmq_handler.rules.delivery_log import deliveries_count
from nextmq_handler.rules.views import JobView, LockView, new_job_view

from ..scripts.packers import long_names
from ..scripts.scripts import QueueScripts, ScriptRunner, fields_of
from ..scripts.tokens import owner_of
from .adding import AddResult, Idempotency, JobToAdd, add_jobs
from .delivery_log import FIELD, deliveries
from .job import lines_of, parent_of, whole
from .reading import Hash, read_hashes, read_state
from .retrying import retry
from .snapshots import remove

_GONE, _SCHEDULED = -1, -8


class NoSuchJob(Exception):
    """The job does not exist."""


class WrongState(Exception):
    """The job is not in the state that the operation needs."""


class JobLocked(WrongState):
    """The job or one of its children is being processed."""


class Jobs:
    """The jobs of all queues under one BullMQ prefix. Async methods raise RedisError or ConnectionLost too."""

    def __init__(self, runner: ScriptRunner, prefix: str) -> None:
        self._runner = runner
        self._prefix = prefix

    def scripts(self, queue: str) -> QueueScripts:
        """Return the scripts of `queue`."""
        return QueueScripts(self._runner, queue, self._prefix)

    async def scripts_of(self, queue: str, job_id: str) -> QueueScripts:
        """Return the scripts of the queue of an existing job.

        Raises NoSuchJob, also if the id names a key that is not a job's: a queue has keys beside its jobs.
        """
        scripts = self.scripts(queue)
        if await scripts.fields(job_id, "timestamp") == [None]:
            raise NoSuchJob(job_id)
        return scripts

    async def get(self, queue: str, job_id: str) -> JobView:
        """Return the job as the API shows it, and who processes it if it is active. Raises NoSuchJob."""
        scripts = await self.scripts_of(queue, job_id)
        # The state first: a job that finishes in between is shown active with a result, not finished without one.
        state: str = await scripts.pack.getState(job_id)
        flat: list[str] = await scripts.connection.execute("HGETALL", scripts.key(job_id))
        if not flat:  # removed just now
            raise NoSuchJob(job_id)
        shown = view(job_id, state, flat)
        if state == "active":
            shown["lock"] = await _lock(scripts, job_id, fields_of(flat).get("pb"))
        return shown

    def new(
        self, queue: str, name: str, data: t.Any, opts: dict[str, t.Any], *, now: int, is_parent: bool = False
    ) -> JobToAdd:
        """Return a job to add. `opts` has BullMQ's long names, `now` is ms since the epoch."""
        timestamp = opts.get("timestamp") or now
        parent = opts.get("parent")
        if parent:
            opts = {**opts, "parent": {"id": parent["id"], "queue": f"{self._prefix}:{parent['queue']}"}}
        return JobToAdd(self._prefix, queue, name, data, opts, timestamp, opts.get("jobId"), is_parent)

    async def add(self, jobs: t.Sequence[JobToAdd], idempotency: Idempotency | None = None) -> list[AddResult]:
        """Add all jobs in one step, in their order. A parent comes before its children.

        Raises IdempotencyKeyReused or UnusableParent.
        """
        return await add_jobs(self._runner, jobs, idempotency)

    async def added(self, new: JobToAdd, added: AddResult, *, has_room: bool = True) -> dict[str, t.Any]:
        """Return what the API shows of a job that was just added or existed already.

        Without room for one that existed, it is shown as `new`, in its own state.
        """
        if not (added.deduplicated or added.replayed):
            return {**_fresh_view(new, added.id), "deduplicated": False}
        if not has_room:
            state: str = await self.scripts(new.queue).pack.getState(added.id)
            return {**_fresh_view(new, added.id), "state": state, "deduplicated": added.deduplicated}
        try:
            shown = await self.get(new.queue, added.id)
        except NoSuchJob:  # finished and removed meanwhile: show what it was added with
            shown = {**_fresh_view(new, added.id), "state": "unknown"}
        return {**shown, "deduplicated": added.deduplicated}

    async def page(
        self, queue: str, states: t.Sequence[str], start: int, end: int, *, ascending: bool
    ) -> list[JobView]:
        """Return the jobs from `start` to `end` of each of the states; the oldest first if `ascending`."""
        scripts = self.scripts(queue)
        found: list[JobView] = []
        for state in states:
            by_state: list[list[t.Any]] = await scripts.pack.getJobs([state], start, end, ascending)
            # A job of a paused queue is shown as waiting.
            shown = "waiting" if state == "paused" else state
            found += [view(job_id, shown, flat) for job_id, flat in by_state[0]]
        return found

    async def some(
        self, queue: str, state: str, start: int, end: int, *, ascending: bool
    ) -> tuple[list[JobView], int | None]:
        """Return the first of the jobs from `start` to `end` of a state, and the position of the next one.

        They are as many as a piece of bounded size holds, at least one; the position is None after the last.
        """
        piece = await read_state(self.scripts(queue), state, start, end, ascending=ascending)
        # A job of a paused queue is shown as waiting.
        shown = "waiting" if state == "paused" else state
        jobs = [view(job_id, shown, fields) for job_id, fields in piece.jobs]
        return jobs, start + piece.read if piece.has_more else None

    async def first_of(self, wanted: t.Sequence[tuple[str, str]]) -> list[JobView | None]:
        """Return the first of these jobs, each a queue and an id; None for one that does not exist."""
        all_scripts = [self.scripts(queue) for queue, _ in wanted]
        # The state first, as in `get`.
        states: list[str] = await asyncio.gather(
            *(scripts.pack.getState(job_id) for scripts, (_, job_id) in zip(all_scripts, wanted, strict=True))
        )
        keys = [scripts.key(job_id) for scripts, (_, job_id) in zip(all_scripts, wanted, strict=True)]
        found = await read_hashes(self._runner, keys)
        return [_view_of(*job) for job in zip(wanted, states, found, strict=False)]

    async def remove(self, queue: str, job_id: str, *, with_children: bool) -> None:
        """Remove a job. Raises NoSuchJob, JobLocked, or WrongState if it is the next job of a scheduler."""
        scripts = await self.scripts_of(queue, job_id)
        removed = await remove(scripts, job_id, with_children=with_children)
        if removed == 0:
            raise JobLocked("is running, or one of its children is running")
        if removed == _SCHEDULED:
            raise WrongState("is the next job of a job scheduler: remove the scheduler")

    async def retry(
        self,
        queue: str,
        job_id: str,
        state: str,
        *,
        reset_attempts_made: bool,
        reset_attempts_started: bool,
        data: str | None = None,
    ) -> None:
        """Put a job that ended in `state` back, with new `data` if that is given as JSON.

        Raises NoSuchJob or WrongState.
        """
        scripts = await self.scripts_of(queue, job_id)
        [stored] = await scripts.fields(job_id, "opts")
        opts: dict[str, t.Any] = decoded(stored) or {}
        resets = reset_attempts_made, reset_attempts_started
        answer = await retry(scripts, job_id, state, is_next=bool(opts.get("lifo")), resets=resets, data=data)
        _check(answer, job_id, f"is not {state}")

    async def promote(self, queue: str, job_id: str) -> None:
        """Let a delayed job run now. Raises NoSuchJob or WrongState."""
        scripts = await self.scripts_of(queue, job_id)
        keys, args = scripts.pack.promoteArgs(job_id)
        _check(await scripts.run("promote", keys, args), job_id, "is not delayed")

    async def change_delay(self, queue: str, job_id: str, delay: int, now: int) -> None:
        """Delay a delayed job until `delay` ms after `now`. Raises NoSuchJob or WrongState."""
        scripts = await self.scripts_of(queue, job_id)
        keys = [*scripts.all_keys("delayed", "meta", "marker", "events")]
        args = [delay, now, job_id, scripts.key(job_id)]
        _check(await scripts.run("changeDelay", keys, args), job_id, "is not delayed")

    async def change_priority(self, queue: str, job_id: str, priority: int, *, lifo: bool) -> None:
        """Change the priority of a job. Raises NoSuchJob."""
        scripts = await self.scripts_of(queue, job_id)
        keys = scripts.all_keys("wait", "paused", "meta", "prioritized", "active", "pc", "marker")
        args = [priority, scripts.keys[""], job_id, int(lifo)]
        _check(await scripts.run("changePriority", keys, args), job_id, "")

    async def update_data(self, queue: str, job_id: str, data: t.Any) -> None:
        """Replace the data of a job. Raises NoSuchJob."""
        scripts = await self.scripts_of(queue, job_id)
        _check(await scripts.run("updateData", [scripts.key(job_id)], [strict_json.compact(data)]), job_id, "")

    async def update_progress(self, queue: str, job_id: str, progress: t.Any) -> None:
        """Store the progress of a job. Raises NoSuchJob."""
        scripts = await self.scripts_of(queue, job_id)
        keys = [scripts.key(job_id), scripts.keys["events"], scripts.keys["meta"]]
        _check(await scripts.run("updateProgress", keys, [job_id, strict_json.compact(progress)]), job_id, "")

    async def remove_deduplication_key(self, queue: str, job_id: str) -> bool:
        """Release the job's deduplication id. Return False if the job does not hold it (any more)."""
        scripts = await self.scripts_of(queue, job_id)
        held: str | None = await scripts.connection.execute("HGET", scripts.key(job_id), "deid")
        if held is None:
            return False
        return bool(await scripts.run("removeDeduplicationKey", [scripts.key("de", held)], [job_id]))


def view(job_id: str, state: str, flat: t.Sequence[str]) -> JobView:
    """Return what the API shows of a job in `state`, from the answer of HGETALL."""
    fields = fields_of(flat)
    kept = deliveries(fields.get(FIELD))
    opts = long_names(decoded(fields.get("opts")))
    if "parent" in opts:
        opts["parent"] = parent_of(opts["parent"], "queue")
    return {
        "id": job_id,
        "name": fields.get("name", ""),
        "state": state,
        "data": decoded(fields.get("data")),
        "opts": opts,
        "progress": decoded(fields.get("progress", "0")),
        "attemptsMade": whole(fields.get("atm")) or 0,
        "attemptsStarted": whole(fields.get("ats")) or 0,
        "stalledCounter": whole(fields.get("stc")) or 0,
        "delay": whole(fields.get("delay")) or 0,
        "priority": whole(fields.get("priority")) or 0,
        "returnValue": decoded(fields.get("returnvalue")),
        "failedReason": fields.get("failedReason"),
        "stacktrace": lines_of(decoded(fields.get("stacktrace"))),
        "deliveries": kept,
        "deliveriesCount": deliveries_count(whole(fields.get("ats")) or 0, kept),
        "parent": parent_of(decoded(fields.get("parent")), "queueKey"),
        "repeatJobKey": fields.get("rjk"),
        "deduplicationId": fields.get("deid"),
        "timestamp": whole(fields.get("timestamp")) or 0,
        "processedOn": whole(fields.get("processedOn")) or None,
        "finishedOn": whole(fields.get("finishedOn")) or None,
    }


async def _lock(scripts: QueueScripts, job_id: str, worker: str | None) -> LockView | None:
    """Return who holds the job's lock, and for how many ms; `worker` is the name of its BullMQ worker, if any."""
    key = scripts.key(job_id, "lock")
    execute = scripts.connection.execute
    token, left = await asyncio.gather(execute("GET", key), execute("PTTL", key))
    return {"owner": owner_of(token, worker), "expiresIn": max(0, left)} if token else None


def _view_of(name: tuple[str, str], state: str, fields: Hash) -> JobView | None:
    is_job = "timestamp" in fields[::2]  # a queue has other keys beside its jobs
    return view(name[1], state, fields) if is_job else None


def _fresh_view(new: JobToAdd, job_id: str) -> JobView:
    opts = long_names({name: value for name, value in new.job.opts.items() if value is not None})
    if parent := new.opts.get("parent"):
        opts["parent"] = parent_of(parent, "queue")
    return new_job_view(job_id, new.state, new.timestamp, name=new.name, data=new.data, opts=opts)


def decoded(text: str | None) -> t.Any:
    """Return the value of JSON in Redis; the text itself if the client that wrote it does not encode."""
    if text is None:
        return None
    try:
        return strict_json.loads(text.encode("utf-8", "surrogateescape"))
    except ValueError:
        return text


def _check(answer: t.Any, job_id: str, otherwise: str) -> None:
    if answer == _GONE:
        raise NoSuchJob(job_id)
    if isinstance(answer, int) and answer < 0:
        raise WrongState(otherwise)
