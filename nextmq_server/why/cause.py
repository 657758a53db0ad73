"""A cause: a stable code, a sentence, and what ends it."""

from __future__ import annotations

import shlex
import typing as t

Code = t.Literal[
    "redis_down",
    "redis_full",
    "draining",
    "server_gone",
    "lock_lost",
    "child_failed",
    "child_missing",
    "children_open",
    "paused",
    "no_worker",
    "node_only",
    "disabled",
    "held_unreachable",
    "held_throttled",
    "breaker",
    "throttled",
    "limiter",
    "global_limit",
    "global_concurrency",
    "worker_concurrency",
    "process_full",
    "project_full",
    "origin_full",
    "project_quota",
    "delayed",
    "backoff",
    "priority",
    "behind",
    "active",
    "finished",
    "not_found",
]
"""All codes, in the order in which causes must end: those of the server, children, the queue, the job."""

_ORDER: dict[str, int] = {code: number for number, code in enumerate(t.get_args(Code))}


class Remedy(t.NamedTuple):
    """What ends a cause: in words, and the command if there is one."""

    text: str
    command: str | None = None


class Cause(t.NamedTuple):
    """Why a job does not run. Times are ms since the epoch; `age` is that of what a process published, in ms."""

    code: Code
    sentence: str
    remedy: Remedy
    since: int | None = None
    until: int | None = None
    age: int | None = None
    details: t.Mapping[str, t.Any] = {}

    def view(self) -> dict[str, t.Any]:
        """Return the cause as the API shows it."""
        return {**self._asdict(), "remedy": self.remedy._asdict(), "details": dict(self.details)}


def in_order(causes: t.Iterable[Cause]) -> list[Cause]:
    """Return the causes, the one that must end first in front."""
    return sorted(causes, key=lambda cause: _ORDER[cause.code])


def command(name: str, *words: str, options: t.Sequence[str] = ()) -> str:
    """Return a line for a shell: `nextmq`, the command, its words and options. A word may begin with a dash."""
    if any(word.startswith("-") for word in words):
        return shlex.join(["nextmq", name, *options, "--", *words])
    return shlex.join(["nextmq", name, *words, *options])
