"""/v1/triggers: a configured JSON, posted to any URL by a schedule and signed with the trigger's own secret."""

from __future__ import annotations

import typing as t

from fastapi import Response
from pydantic import AfterValidator, Field, field_validator

from nextmq_handler.protocol import strict_json
from nextmq_handler.rules.limits import MAX_DELAY_MS
from nextmq_handler.rules.models import BackoffModel, BackoffOption, Closed, Delay, Name, check_data_size
from nextmq_handler.rules.schedules import When
from nextmq_handler.rules.search.redaction import Redaction

from ..patterns import check_patterns
from ..triggers.records import StoredRun, TriggerOptions
from ..triggers.triggers import ShownTrigger
from ..workers.registration import endpoint_url
from .http.errors import ASCIIResponse
from .http.request import Authorized, CreatesJobs, Empty, Hides, PathId, router

MAX_PAYLOAD_SIZE = 256 * 1024
"""The largest payload, in bytes of JSON."""

MIN_EVERY = 1000
MAX_TIMEOUT = 600_000

_SHOWN = {"id", "name", "url", "repeat", "attempts", "backoff", "timeout", "is_paused"}

routes = router("/v1/triggers", "triggers")


class TriggerRepeat(When):
    """When to send: `every` so many ms, or by a cron `pattern` in the time zone `tz` (default: UTC)."""

    every: int | None = Field(default=None, ge=MIN_EVERY, le=MAX_DELAY_MS)


class TriggerBody(Closed):
    """A trigger to create. `timeout`, ms, limits one attempt; `backoff` is as for jobs."""

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
        """Refuse a payload that is too large."""
        return check_data_size(value, MAX_PAYLOAD_SIZE)


class RunView(StoredRun, extra="forbid"):
    """One attempt: when it began, the status of its answer, and its outcome. Times are ms."""


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
    """The secret that signs the requests from now on. It is shown only here."""

    secret: str


class CreatedTrigger(TriggerView, NewSecret):
    """The trigger that was created, with its secret."""


class TriggerList(Closed):
    """The triggers of a project, the oldest first."""

    triggers: list[TriggerView]


@routes.post("", status_code=201, response_model=CreatedTrigger, dependencies=[CreatesJobs])
async def create_trigger(body: TriggerBody, service: Authorized) -> Response:
    """Create a trigger. Only this answer shows its secret."""
    await check_patterns(service.shares, {"repeat": body.repeat})
    options = TriggerOptions(
        **body.model_dump(exclude={"payload", "repeat"}),
        body=strict_json.dumps(body.payload).decode("ascii"),
        repeat=body.repeat.model_dump(exclude_none=True),
    )
    service.egress.check_url(body.url)
    shown = await service.triggers.create(options)
    return ASCIIResponse({**_view(shown), "secret": shown.trigger.secret}, 201)


@routes.get("", response_model=TriggerList)
async def get_triggers(service: Authorized, redaction: Hides) -> Response:
    """List all triggers."""
    return ASCIIResponse({"triggers": [_view(shown, redaction) for shown in await service.triggers.all()]})


@routes.get("/{id}", response_model=TriggerView)
async def get_trigger(trigger_id: PathId, service: Authorized, redaction: Hides) -> Response:
    """Get a trigger."""
    return ASCIIResponse(_view(await service.triggers.get(trigger_id), redaction))


@routes.get("/{id}/runs", response_model=Runs)
async def get_runs(trigger_id: PathId, service: Authorized) -> Response:
    """List the last 50 attempts of a trigger."""
    runs = await service.triggers.runs(trigger_id)
    return ASCIIResponse({"runs": [run.model_dump(by_alias=True) for run in runs]})


@routes.delete("/{id}")
async def delete_trigger(trigger_id: PathId, service: Authorized) -> Empty:
    """Delete a trigger with its waiting requests. A request that was sent already finishes."""
    await service.triggers.remove(trigger_id)


@routes.post("/{id}/pause")
async def pause_trigger(trigger_id: PathId, service: Authorized) -> Empty:
    """Pause a trigger: its schedule sends nothing until `resume`."""
    await service.triggers.set_paused(trigger_id, True)


@routes.post("/{id}/resume")
async def resume_trigger(trigger_id: PathId, service: Authorized) -> Empty:
    """Resume a trigger: its schedule sends again."""
    await service.triggers.set_paused(trigger_id, False)


@routes.post("/{id}/fire", dependencies=[CreatesJobs])
async def fire_trigger(trigger_id: PathId, service: Authorized) -> Empty:
    """Send once now, even if the trigger is paused. The schedule stays the same."""
    await service.triggers.fire(trigger_id)


@routes.post("/{id}/rotate-secret")
async def rotate_secret(trigger_id: PathId, service: Authorized) -> NewSecret:
    """Sign with a new secret, and for 24 h with the previous one too."""
    return NewSecret(secret=await service.triggers.rotate_secret(trigger_id))


def _view(shown: ShownTrigger, redaction: Redaction | None = None) -> dict[str, t.Any]:
    trigger = shown.trigger
    view = {
        **trigger.model_dump(by_alias=True, include=_SHOWN),
        "payload": strict_json.parse(trigger.body),
        "next": shown.next,
        "lastRun": shown.last_run and shown.last_run.model_dump(by_alias=True),
    }
    return view if redaction is None else redaction.parts(view)
