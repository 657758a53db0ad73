"""/v1/triggers: a configured JSON, posted to any URL by a schedule and signed with the trigger's own secret."""

from __future__ import annotations

import json
import typing as t

from fastapi import APIRouter, Response
from pydantic import AfterValidator, Field, field_validator

from nextmq_handler.protocol import strict_json
from nextmq_handler.rules.limits import MAX_DELAY_MS
from nextmq_handler.rules.models import BackoffModel, BackoffOption, Delay, Name, check_data_size
from nextmq_handler.rules.schedules import When

from ..dispatch.egress.rules import EgressRefused
from ..triggers.records import MAX_TRIGGERS, StoredRun, TooManyTriggers, TriggerOptions
from ..triggers.triggers import NoSuchTrigger, ShownTrigger
from ..workers.registration import endpoint_url
from .errors import DOCUMENTED, APIError, ASCIIResponse, invalid_member
from .request import Authorized, Closed, CreatesJobs, Done, PathId, StrictRoute

MAX_PAYLOAD_SIZE = 256 * 1024
"""The largest payload, in bytes of JSON."""

T = t.TypeVar("T")

MIN_EVERY = 1000
MAX_TIMEOUT = 600_000

router = APIRouter(prefix="/v1/triggers", tags=["triggers"], route_class=StrictRoute, responses=DOCUMENTED)


class TriggerRepeat(When):
    """When to send: `every` so many ms, or by a cron `pattern` on the clocks of `tz` (UTC)."""

    every: int | None = Field(default=None, ge=MIN_EVERY, le=MAX_DELAY_MS)


class NewTrigger(Closed):
    """A trigger to create. `timeout`, ms, bounds one attempt; `backoff` is as for jobs."""

    name: Name | None = None
    url: t.Annotated[str, Field(max_length=2048), AfterValidator(endpoint_url)]
    payload: t.Any
    repeat: TriggerRepeat
    attempts: int = Field(default=1, ge=1, le=100)
    backoff: BackoffOption | None = None
    timeout: int = Field(default=30_000, ge=1, le=MAX_TIMEOUT)

    @field_validator("payload")
    @classmethod
    def check_size(cls, value: t.Any) -> t.Any:
        """The payload is bounded."""
        return check_data_size(value, MAX_PAYLOAD_SIZE)


class RunView(Closed):
    """One attempt: when it began, the status of its answer, and what came of it. Times are ms."""

    at: int
    status: int | None
    outcome: t.Literal["succeeded", "failed"]
    durationMs: int
    attempt: int
    error: str | None


class Runs(Closed):
    """The last attempts of a trigger, the newest first."""

    runs: list[RunView]


class TriggerView(Closed):
    """A trigger. `next` is when it runs next, ms since the epoch; null while it is paused."""

    id: str
    name: str | None
    url: str
    payload: t.Any
    repeat: TriggerRepeat
    attempts: int
    backoff: Delay | BackoffModel | None
    timeout: int
    isPaused: bool
    next: int | None
    lastRun: RunView | None


class NewSecret(Closed):
    """What signs the requests from now on; shown this once."""

    secret: str


class CreatedTrigger(TriggerView, NewSecret):
    """A trigger that was created, with its secret."""


class TriggerList(Closed):
    """The triggers of a project, the oldest first."""

    triggers: list[TriggerView]


@router.post("", status_code=201, response_model=CreatedTrigger, dependencies=[CreatesJobs])
async def create_trigger(body: NewTrigger, service: Authorized) -> Response:
    """Create a trigger. The answer alone shows its secret."""
    backoff = body.backoff
    options = TriggerOptions(
        name=body.name,
        url=body.url,
        body=strict_json.dumps(body.payload).decode("ascii"),
        repeat=body.repeat.model_dump(exclude_none=True),
        attempts=body.attempts,
        backoff=backoff.model_dump() if isinstance(backoff, BackoffModel) else backoff,
        timeout=body.timeout,
    )
    try:
        service.egress.check_url(body.url)
        shown = await service.triggers.create(options)
    except EgressRefused as exc:
        raise invalid_member("url", str(exc)) from None
    except TooManyTriggers:
        message = f"a project has at most {MAX_TRIGGERS} triggers, of 32 MiB in all: delete some"
        raise APIError(422, "too_many_triggers", message) from None
    return ASCIIResponse({**_view(shown), "secret": shown.trigger.secret}, 201)


@router.get("", response_model=TriggerList)
async def get_triggers(service: Authorized) -> Response:
    """All triggers."""
    return ASCIIResponse({"triggers": [_view(shown) for shown in await service.triggers.all()]})


@router.get("/{id}", response_model=TriggerView)
async def get_trigger(trigger_id: PathId, service: Authorized) -> Response:
    """A trigger."""
    return ASCIIResponse(_view(await _found(trigger_id, service.triggers.get(trigger_id))))


@router.get("/{id}/runs", response_model=Runs)
async def get_runs(trigger_id: PathId, service: Authorized) -> Response:
    """The last 50 attempts of a trigger."""
    runs = await _found(trigger_id, service.triggers.runs(trigger_id))
    return ASCIIResponse({"runs": [_run_view(run) for run in runs]})


@router.delete("/{id}")
async def delete_trigger(trigger_id: PathId, service: Authorized) -> Done:
    """Delete a trigger with all that waits of it; a request under way ends."""
    await _found(trigger_id, service.triggers.remove(trigger_id))
    return Done()


@router.post("/{id}/pause")
async def pause_trigger(trigger_id: PathId, service: Authorized) -> Done:
    """Send nothing by the schedule until `resume`."""
    await _found(trigger_id, service.triggers.set_paused(trigger_id, True))
    return Done()


@router.post("/{id}/resume")
async def resume_trigger(trigger_id: PathId, service: Authorized) -> Done:
    """Send by the schedule again."""
    await _found(trigger_id, service.triggers.set_paused(trigger_id, False))
    return Done()


@router.post("/{id}/fire", dependencies=[CreatesJobs])
async def fire_trigger(trigger_id: PathId, service: Authorized) -> Done:
    """Send once now, also while it is paused; the schedule stays."""
    await _found(trigger_id, service.triggers.fire(trigger_id))
    return Done()


@router.post("/{id}/rotate-secret")
async def rotate_secret(trigger_id: PathId, service: Authorized) -> NewSecret:
    """Sign with a new secret, and for 24 h with the one before too."""
    return NewSecret(secret=await _found(trigger_id, service.triggers.rotate_secret(trigger_id)))


async def _found(trigger_id: str, work: t.Awaitable[T]) -> T:
    """The result of `work` on a trigger; that there is none is an answer."""
    try:
        return await work
    except NoSuchTrigger:
        raise APIError(404, "not_found", f"there is no trigger {trigger_id}") from None


def _view(shown: ShownTrigger) -> dict[str, t.Any]:
    trigger = shown.trigger
    return {
        "id": trigger.id,
        "name": trigger.name,
        "url": trigger.url,
        "payload": json.loads(trigger.body),
        "repeat": trigger.repeat,
        "attempts": trigger.attempts,
        "backoff": trigger.backoff,
        "timeout": trigger.timeout,
        "isPaused": trigger.is_paused,
        "next": shown.next,
        "lastRun": _run_view(shown.last_run) if shown.last_run else None,
    }


def _run_view(run: StoredRun) -> dict[str, t.Any]:
    return run.model_dump(by_alias=True)
