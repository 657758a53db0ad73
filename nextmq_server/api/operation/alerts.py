"""/v1/alerts: rules that tell people when a queue needs them."""

from __future__ import annotations

import typing as t

from fastapi import Depends, Path, Response
from pydantic import Field

from nextmq_handler.errors import ConfigurationError
from nextmq_handler.protocol.signing import generate_secret, parse_secret
from nextmq_handler.rules.models import Closed
from nextmq_handler.rules.refusals import Refusal, invalid

from ...alerts.judge import Firing
from ...alerts.mail import SMTP_VARIABLE
from ...alerts.rules import AlertRule, Channel, EmailChannel, WebhookChannel
from ...service import Service
from ..http.errors import ASCIIResponse
from ..http.request import Authorized, Removed, router

routes = router("/v1/alerts", "alerts")


class ChannelView(Closed):
    """A channel. Of a webhook's URL only the host is shown; `secret` only in the answer that made it."""

    type: str
    to: list[str] | None = None
    url: str | None = None
    format: str | None = None
    secret: str | None = None


class FiringView(Closed):
    """What a rule has found; `queue` is null for Redis. Times are ms since the epoch."""

    queue: str | None
    since: int
    firedAt: int | None
    text: str


class RuleView(Closed):
    """A rule, and what it has found. `state` is pending for what does not last long enough yet."""

    name: str
    when: str
    over: int
    minutes: int
    atLeast: int
    queues: str
    repeat: int | None
    isEnabled: bool
    channels: list[ChannelView]
    state: t.Literal["ok", "pending", "firing"]
    firings: list[FiringView]


class AlertsView(Closed):
    """The rules of the project by name."""

    rules: list[RuleView]


class ChannelResult(Closed):
    """Whether the test message reached a channel, and if not, why."""

    type: str
    isSent: bool
    problem: str | None


class TestResult(Closed):
    """What became of the test messages."""

    channels: list[ChannelResult] = Field(description="in the order of the rule")


async def get_rule_name(
    id: t.Annotated[str, Path(pattern="^[A-Za-z0-9._~-]{1,100}$", description="A-Z a-z 0-9 . _ ~ -")],
) -> str:
    """Return the name of the rule in the path."""
    return id


RuleName = t.Annotated[str, Depends(get_rule_name)]


@routes.get("", response_model=AlertsView)
async def get_alerts(service: Authorized) -> Response:
    """List the alert rules, and what they have found."""
    rules, states = await service.alerts.store.rules(), await service.alerts.store.states()
    return ASCIIResponse({"rules": [_view(name, rule, states.get(name, {})) for name, rule in rules.items()]})


@routes.put("/rules/{id}", response_model=RuleView)
async def put_rule(name: RuleName, rule: AlertRule, service: Authorized) -> Response:
    """Create a rule, or replace it.

    A webhook of the format json is signed: without `secret` it keeps the one it has, or gets a new one, which only
    this answer shows.
    """
    held = (await service.alerts.store.rules()).get(name)
    kept = {one.url: one.secret for one in (held.channels if held else []) if isinstance(one, WebhookChannel)}
    channels, made = list[Channel](), set[str]()
    for index, channel in enumerate(rule.channels):
        _check(service, channel, f"channels.{index}")
        if not isinstance(channel, WebhookChannel) or channel.format != "json" or channel.secret is not None:
            channels.append(channel)
            continue
        secret = kept.get(channel.url)
        if secret is None:
            secret = generate_secret()
            made.add(secret)
        channels.append(channel.model_copy(update={"secret": secret}))
    rule = rule.model_copy(update={"channels": channels})
    await service.alerts.store.put(name, rule)
    return ASCIIResponse(_view(name, rule, {}, made=made))


@routes.delete("/rules/{id}")
async def remove_rule(name: RuleName, service: Authorized) -> Removed:
    """Remove a rule. What it has found is forgotten without a message."""
    return Removed(removed=await service.alerts.store.remove(name))


@routes.post("/rules/{id}/test")
async def test_rule(name: RuleName, service: Authorized) -> TestResult:
    """Send a test message to each channel of a rule, once."""
    rule = (await service.alerts.store.rules()).get(name)
    if rule is None:
        raise Refusal(404, "not_found", f"alert rule {name} does not exist: GET /v1/alerts lists the rules")
    results = await service.alerts.test(name, rule)
    return TestResult(
        channels=[
            ChannelResult(type=channel.type, isSent=problem is None, problem=problem)
            for channel, problem in results
        ]
    )


def _check(service: Service, channel: Channel, path: str) -> None:
    """Raise Refusal or EgressRefused for a channel to which nothing could be sent."""
    if isinstance(channel, EmailChannel) and service.alerts.relay is None:
        raise invalid(path, f"the server has no relay for e-mail: start it with {SMTP_VARIABLE}")
    if isinstance(channel, WebhookChannel):
        service.egress.check_url(channel.url)
        if channel.secret is not None:
            try:
                parse_secret(channel.secret, source="the secret")
            except ConfigurationError as exc:
                raise invalid(f"{path}.secret", str(exc)) from None


def _view(
    name: str, rule: AlertRule, states: t.Mapping[str, Firing], *, made: t.Collection[str] = ()
) -> dict[str, t.Any]:
    firings = [
        {"queue": queue or None, "since": state.since, "firedAt": state.fired_at, "text": state.text}
        for queue, state in sorted(states.items())
    ]
    has_fired = any(firing["firedAt"] is not None for firing in firings)
    return {
        "name": name,
        **rule.model_dump(by_alias=True, exclude={"channels"}),
        "channels": [_channel(channel, made) for channel in rule.channels],
        "state": "firing" if has_fired else "pending" if firings else "ok",
        "firings": firings,
    }


def _channel(channel: Channel, made: t.Collection[str]) -> dict[str, t.Any]:
    if isinstance(channel, WebhookChannel):
        shown: dict[str, t.Any] = {"type": "webhook", "url": channel.place, "format": channel.format}
        return {**shown, "secret": channel.secret} if channel.secret in made else shown
    return channel.model_dump()
