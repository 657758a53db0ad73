"""The table of all commands. Nothing here loads a command, so that the help is the same in every environment."""

from __future__ import annotations

import typing as t
from importlib import import_module

from .failure import CommandFailed

ENTRY_POINTS = "nextmq.commands"
"""The entry-point group through which the server gives its commands."""


class Entry(t.NamedTuple):
    """A command: its name, a line of help, and its `module:attribute`; None if the server gives it."""

    name: str
    help: str
    target: str | None

    def load(self) -> t.Any:
        """Return the command's function or Typer. Raises CommandFailed if a package is missing."""
        try:
            return self._loaded()
        except ModuleNotFoundError as exc:
            if (exc.name or "").partition(".")[0] == "nextmq_handler":
                raise
            extra = "server" if self.target is None else "cli"
            raise CommandFailed(
                f"this command needs the {extra} extra ({exc.name} is missing): "
                f'pip install "nextmq-handler[{extra}]"{_APART if extra == "server" else ""}'
            ) from None

    def _loaded(self) -> t.Any:
        if self.target is not None:
            module, _, attribute = self.target.partition(":")
            return getattr(import_module(module, __package__), attribute)
        from importlib.metadata import entry_points

        for found in entry_points(group=ENTRY_POINTS, name=self.name):
            return found.load()
        raise CommandFailed(
            f"no installed package gives the command {self.name}: "
            f'pip install "nextmq-handler[server]"{_APART}; an editable installation has to be made again'
        )


_APART = ", best in an environment of its own (pipx, uvx)"

COMMANDS: t.Mapping[str, tuple[Entry, ...]] = {
    "Look": (
        Entry("status", "Show the server and every queue, what needs attention first.", ".look.status:status"),
        Entry("why", "Say why a job or a queue does not run, and what ends it.", ".look.why:why"),
        Entry("doctor", "Check the whole set-up, each finding with its fix.", ".doctor.command:doctor"),
        Entry("jobs", "List the jobs of a queue, by state, name or text.", ".look.jobs:jobs"),
        Entry("job", "Show one job whole: data, deliveries, traceback, logs, flow.", ".look.job:job"),
        Entry("failures", "Show failed jobs, grouped by their reason.", ".look.failures:failures"),
        Entry("tail", "Print deliveries and events as they happen.", ".look.tail:tail"),
        Entry("workers", "Show which app works for which queue.", ".look.workers:workers"),
        Entry("audit", "Show who changed what.", ".look.audit:audit"),
        Entry("server", "Show the server's processes and its Redis.", ".look.server:server"),
    ),
    "Change jobs": (
        Entry("add", "Add a job.", ".change.add:add"),
        Entry("retry", "Run failed or completed jobs again.", ".change.jobs:retry"),
        Entry("promote", "Start delayed jobs now.", ".change.jobs:promote"),
        Entry("remove", "Remove jobs.", ".change.jobs:remove"),
        Entry("redrive", "Move dead letters back to the queue that they failed in.", ".change.jobs:redrive"),
        Entry("bulk", "Show or cancel changes of many jobs.", ".change.bulk:bulk"),
        Entry("replay", "Send a job to an app on this machine, and finish nothing.", ".replay:replay"),
    ),
    "Change queues": (
        Entry("pause", "Start no more jobs.", ".change.queues:pause"),
        Entry("resume", "Start jobs again.", ".change.queues:resume"),
        Entry("drain", "Remove the jobs that wait.", ".change.queues:drain"),
        Entry("clean", "Remove old jobs of one state.", ".change.queues:clean"),
        Entry("obliterate", "Remove a queue and all its jobs.", ".change.queues:obliterate"),
        Entry("limits", "Show or set concurrency and rate limit.", ".change.limits:limits"),
        Entry("schedulers", "Show or remove job schedulers.", ".change.schedulers:schedulers"),
        Entry("run-now", "Add a scheduler's job now.", ".change.schedulers:run_now"),
        Entry("triggers", "Show, fire, pause or remove triggers.", ".change.triggers:triggers"),
        Entry("alerts", "Show, set or test alert rules.", ".change.alerts:alerts"),
    ),
    "Deploy": (Entry("register", "Register a handler's workers.", ".deploy:register"),),
    "Server": (
        Entry("dev", "Run a development server, and your app beside it.", None),
        Entry("demo", "Run a server with an app and queues in every state, to look at.", None),
        Entry("serve", "Run a server for the projects of a file.", None),
        Entry("projects", "Manage projects, their keys and secrets.", None),
        Entry("users", "Manage who may log in to the dashboard.", None),
        Entry("conformance", "Check a handler in any language against the protocol.", None),
    ),
}
"""All commands, by section."""


def entry_of(name: str) -> Entry | None:
    """Return the command with this name."""
    return next((entry for entries in COMMANDS.values() for entry in entries if entry.name == name), None)
