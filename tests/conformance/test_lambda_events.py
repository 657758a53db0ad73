"""The events of Lambda: bodies in base64 or not, headers in every style, answers in kind, and foreign events."""

from __future__ import annotations

import base64
import json
import typing as t

import pytest

from nextmq_adapters.aws_lambda import LambdaHandler, lambda_handler
from nextmq_handler import ConfigurationError

from .integrations.aws_lambda import (
    Build,
    Context,
    Event,
    function_url,
    load_balancer,
    load_balancer_multi,
    rest_api,
)
from .setups import NOW, SECRET, WORKERS
from .support import GOOD, delivery, encode, signed

SHAPES: dict[str, Build] = {
    "function URL": function_url,
    "REST API": rest_api,
    "load balancer": load_balancer,
    "load balancer, multi-value": load_balancer_multi,
}
every_shape = pytest.mark.parametrize("build", SHAPES.values(), ids=SHAPES)
ENCODED = base64.b64encode(GOOD).decode()


def _function() -> LambdaHandler:
    options: dict[str, t.Any] = {"webhook_secrets": SECRET, "clock": lambda: float(NOW)}
    return lambda_handler(WORKERS, **options)


def _status(event: Event) -> int:
    status: int = _function()(event, Context())["statusCode"]
    return status


def _event(build: Build, signed_body: bytes = GOOD, **changes: t.Any) -> Event:
    return {**build("POST", "/queues/blocking", signed(signed_body), signed_body), **changes}


@every_shape
@pytest.mark.parametrize(
    "changes",
    [
        {"body": ENCODED, "isBase64Encoded": True},
        {"body": GOOD.decode(), "isBase64Encoded": False},
        {"body": GOOD.decode(), "isBase64Encoded": None},
    ],
    ids=["base64", "text", "null"],
)
def test_a_body_is_read_as_the_event_says(build: Build, changes: Event) -> None:
    assert _status(_event(build, **changes)) == 200


@every_shape
def test_a_body_is_text_where_the_event_does_not_say(build: Build) -> None:
    event = _event(build)
    del event["isBase64Encoded"]
    assert _status(event) == 200


@every_shape
@pytest.mark.parametrize(
    "body",
    [ENCODED[:-1], ENCODED + "*", "*" + ENCODED, ENCODED[:40] + "\n" + ENCODED[40:], "ä", GOOD.decode()],
    ids=["cut", "junk behind", "junk before", "a newline", "not ASCII", "text"],
)
def test_a_body_declared_as_base64_that_is_not_is_refused(
    build: Build, body: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert _status(_event(build, body=body, isBase64Encoded=True)) == 401
    assert "isBase64Encoded, and the body is not base64" in caplog.text


@every_shape
def test_base64_that_is_not_declared_is_not_decoded(build: Build) -> None:
    assert _status(_event(build, body=ENCODED, isBase64Encoded=False)) == 401


@every_shape
@pytest.mark.parametrize("body", [None, "", 5, ["x"], {}])
def test_a_body_that_is_none_is_empty(build: Build, body: object) -> None:
    event = _event(build, b"")
    assert _status({**event, "body": body}) == 400  # the empty body is what was signed


@every_shape
def test_a_body_that_is_missing_is_empty(build: Build) -> None:
    event = _event(build, b"")
    event.pop("body", None)
    assert _status(event) == 400


@every_shape
@pytest.mark.parametrize("headers", [None, {}, [], "x", 0], ids=repr)
def test_headers_that_are_none_are_no_delivery(build: Build, headers: object) -> None:
    assert _status(_event(build, headers=headers, multiValueHeaders=headers)) == 415


@every_shape
def test_headers_that_are_missing_are_no_delivery(build: Build) -> None:
    event = {name: value for name, value in _event(build).items() if "eaders" not in name}
    assert _status(event) == 415


@every_shape
@pytest.mark.parametrize("value", [None, 5, True, ["x"], {"a": 1}], ids=repr)
def test_a_header_that_is_not_text_is_refused(build: Build, value: object) -> None:
    event = _event(build)
    for style in {"headers", "multiValueHeaders"} & set(event):
        event[style]["x-nextmq-signature"] = value
    assert _status(event) == 401


@every_shape
@pytest.mark.parametrize("change", [str.upper, str.title], ids=["upper", "title"])
def test_names_of_headers_may_be_in_any_case(build: Build, change: t.Callable[[str], str]) -> None:
    event = _event(build)
    for style in {"headers", "multiValueHeaders"} & set(event):
        event[style] = {change(name): value for name, value in event[style].items()}
    assert _status(event) == 200


def test_the_multi_value_headers_of_a_rest_api_are_the_whole_truth() -> None:
    event = _event(rest_api)
    event["multiValueHeaders"]["x-nextmq-id"] = ["dlv_1", "dlv_1"]
    assert _status(event) == 401


def test_the_single_headers_of_a_rest_api_are_read_where_it_has_no_others() -> None:
    assert _status(_event(rest_api, multiValueHeaders=None)) == 200


@every_shape
def test_an_answer_is_json_as_the_runtime_needs_it(build: Build) -> None:
    answer = _function()(_event(build, encode(delivery(job={"data": "ä☃😀"}))), Context())
    assert json.loads(json.dumps(answer)) == answer


@pytest.mark.parametrize(
    ("build", "style"),
    [(load_balancer, "headers"), (load_balancer_multi, "multiValueHeaders")],
    ids=["single", "multi"],
)
def test_a_load_balancer_is_answered_in_the_style_of_its_request(build: Build, style: str) -> None:
    answer = _function()(_event(build), Context())
    assert {"headers", "multiValueHeaders"} & set(answer) == {style}


def test_a_context_without_a_clock_will_do() -> None:
    answer = _function()(_event(function_url), t.cast("t.Any", None))
    assert answer["statusCode"] == 200


def test_a_processor_is_ended_before_the_function_is() -> None:
    body = encode(delivery(queue="awaited", timeout=600_000, job={"name": "overrun"}))
    event = function_url("POST", "/queues/awaited", signed(body), body)
    answer = _function()(event, Context(seconds=0.6))
    assert json.loads(answer["body"])["error"]["name"] == "DeadlineExceeded"


FOREIGN = {
    "schedule": {
        "version": "0",
        "id": "53dc4d37",
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "resources": ["arn:aws:events:eu-west-1:1:rule/every-minute"],
        "detail": {},
    },
    "SQS": {"Records": [{"messageId": "1", "body": "{}", "eventSource": "aws:sqs", "attributes": {}}]},
    "WebSocket API": {"requestContext": {"connectionId": "a", "routeKey": "$connect"}, "isBase64Encoded": False},
    "authorizer": {"type": "TOKEN", "authorizationToken": "x", "methodArn": "arn:aws:execute-api:eu-west-1:1:a"},
    "empty object": {},
    "text": "ping",
    "number": 5,
    "array": [],
    "null": None,
}


@pytest.mark.parametrize("event", FOREIGN.values(), ids=FOREIGN)
def test_an_event_that_is_not_a_request_is_an_error_that_says_so(event: t.Any) -> None:
    with pytest.raises(
        ConfigurationError,
        match="give schedules and other sources a function of their own",
    ):
        _function()(event, Context())
