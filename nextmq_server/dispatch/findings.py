"""What an answer says of the job, and of the endpoint that gave it."""

from __future__ import annotations

from dataclasses import dataclass

from ..engine.verdicts import Fail, Verdict


@dataclass(frozen=True, slots=True)
class Reached:
    """The app decided, by an outcome or by refusing this delivery: the endpoint is well.

    `secret_id` is that of the secret that signed the outcome.
    """

    verdict: Verdict
    secret_id: str | None = None


@dataclass(frozen=True, slots=True)
class Broken:
    """The attempt failed on the endpoint: the job may have run."""

    failure: Fail


@dataclass(frozen=True, slots=True)
class NotRun:
    """The processor provably did not run."""

    detail: str


@dataclass(frozen=True, slots=True)
class Throttled:
    """The platform throttles. `retry_after` is s, None where it does not say."""

    detail: str
    retry_after: float | None


@dataclass(frozen=True, slots=True)
class Gone:
    """The endpoint wants no more."""

    detail: str


Finding = Reached | Broken | NotRun | Throttled | Gone
