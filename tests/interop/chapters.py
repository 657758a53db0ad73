"""All chapters of the scenario."""

from __future__ import annotations

from . import chapters_flows, chapters_jobs, chapters_queues, chapters_running, chapters_schedulers
from .steps import Chapter

_MODULES = (chapters_jobs, chapters_running, chapters_queues, chapters_flows, chapters_schedulers)

CHAPTERS = {
    value.name: value for module in _MODULES for value in vars(module).values() if isinstance(value, Chapter)
}
