"""What the handlers of all integrations have in common: their options, and what they tell of themselves."""

from __future__ import annotations

import typing as t

from .receiver import Receiver

if t.TYPE_CHECKING:
    from datetime import timedelta

    from ..settings import Settings
    from ..workers.worker import Worker
    from .replay import ReplayGuard


class HandlerOptions(t.TypedDict, total=False):
    """The options of every handler.

    `url`, `app_url` and `webhook_secrets` take the place of NEXTMQ_URL, NEXTMQ_APP_URL and NEXTMQ_WEBHOOK_SECRETS.
    `release` names the version of the app that is deployed: by default NEXTMQ_RELEASE, or what the platform names.
    `tolerance` (how far a delivery's timestamp may be from now, 300 s by default) and `body_timeout` (how long its
    body may take to arrive, 10 s by default) take s or a timedelta. `max_body_size` is bytes, 10 MiB by default.
    `expose_stack=False` keeps tracebacks out of outcomes. `replay_guard` accepts each delivery id once.
    """

    url: str | None
    app_url: str | None
    webhook_secrets: str | t.Sequence[str] | None
    release: str | None
    tolerance: float | timedelta
    max_body_size: int
    body_timeout: float | timedelta
    expose_stack: bool
    replay_guard: ReplayGuard | None


class BaseHandler:
    """The endpoint that an app mounts, without the way in which requests reach it."""

    def __init__(self, workers: t.Iterable[Worker], **options: t.Unpack[HandlerOptions]) -> None:
        self._receiver = Receiver(workers, **options)

    @property
    def workers(self) -> tuple[Worker, ...]:
        """The workers that are mounted here."""
        return self._receiver.workers

    @property
    def settings(self) -> Settings:
        """The settings, from the arguments and the environment. Raises ConfigurationError."""
        return self._receiver.settings

    def check(self) -> list[str]:
        """Return what is wrong with this set-up: one sentence for each problem, with its fix."""
        return self._receiver.check()
