"""What the calls of a chapter share: its queues, and the jobs named in its steps."""

from __future__ import annotations

import typing as t

from nextmq_handler import FlowProducer, JobRemovedError, Queue, QueueJob

from .app import App, Play
from .steps import Chapter
from .views import snake_keys


class Stage:
    """A chapter's queues, and the jobs that its steps name."""

    def __init__(self, chapter: Chapter, app: App) -> None:
        self._chapter = chapter
        self._app = app
        self._queues: dict[str, Queue] = {name: Queue(self._full(name), url=app.url) for name in chapter.queues}
        self._flows = FlowProducer(url=app.url)
        self._ids: dict[str, tuple[str, str]] = {}
        self._jobs: dict[str, QueueJob] = {}
        self._working: list[str] = []
        self._play = Play(chapter.name, [], {}, self._note)

    def _full(self, queue: str) -> str:
        return f"{self._chapter.name}-{queue}"

    def _note(self, alias: str, queue: str, job_id: str) -> str:
        self._ids.setdefault(alias, (queue, job_id))
        return job_id

    def _noted(self, job: QueueJob) -> str:
        self._jobs.setdefault(job.name, job)
        return self._note(job.name, job.queue_name.removeprefix(f"{self._chapter.name}-"), job.id)

    def _id(self, alias: str) -> str:
        return self._ids.get(alias, ("", alias))[1]

    def _alias(self, job_id: str) -> str:
        return next((alias for alias, (_, noted) in self._ids.items() if noted == job_id), job_id)

    def _job(self, alias: str, queue: str = "main") -> QueueJob:
        queue = self._ids.get(alias, (queue, ""))[0]
        found = self._queues[queue].get_job(self._id(alias)) or self._jobs.get(alias)
        if found is None:
            raise JobRemovedError(self._id(alias), queue)
        return found

    def _opts(self, opts: t.Mapping[str, t.Any] | None) -> dict[str, t.Any]:
        sent = snake_keys(opts or {})
        if "parent" in sent:
            queue, job_id = self._ids.get(sent["parent"]["job"], ("main", sent["parent"]["job"]))
            sent["parent"] = {"id": job_id, "queue_name": self._full(queue)}
        return sent
