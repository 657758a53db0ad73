"""The log lines of a job."""

from __future__ import annotations

from .jobs import Jobs, NoSuchJob
from .reading import read_values


class JobLogStore:
    """The log lines of jobs. Each method raises RedisError or ConnectionLost too."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs

    async def add(self, queue: str, job_id: str, row: str, keep: int | None) -> int:
        """Add a line and keep the last `keep`. Return how many there are now. Raises NoSuchJob."""
        scripts = await self._jobs.scripts_of(queue, job_id)
        keys = [scripts.key(job_id), scripts.key(job_id, "logs")]
        count: int = await scripts.run("addLog", keys, [job_id, row, "" if keep is None else keep])
        if count < 0:
            raise NoSuchJob(job_id)
        return count

    async def some(
        self, queue: str, job_id: str, start: int, end: int, *, ascending: bool
    ) -> tuple[list[str], int]:
        """Return the first lines from `start` to `end`, and the number of all lines.

        They are as many as a piece of bounded size holds, the oldest first if `ascending`. Raises NoSuchJob.
        """
        scripts = await self._jobs.scripts_of(queue, job_id)
        count, rows = await read_values(scripts, scripts.key(job_id, "logs"), start, end, ascending=ascending)
        return rows, count

    async def clear(self, queue: str, job_id: str, keep: int) -> None:
        """Remove all lines except the last `keep`. Raises NoSuchJob."""
        scripts = await self._jobs.scripts_of(queue, job_id)
        key = scripts.key(job_id, "logs")
        await scripts.connection.execute(*(("LTRIM", key, -keep, -1) if keep else ("DEL", key)))
