"""Where a function finds its routes: stages, base paths and the mount that NEXTMQ_APP_URL names."""

from __future__ import annotations

import typing as t

import pytest

from nextmq_adapters.aws_lambda import lambda_handler

from .integrations.aws_lambda import Context, Event, function_url, load_balancer, rest_api
from .integrations.integration import HeaderList
from .setups import NOW, SECRET, WORKERS
from .support import GOOD, signed

ROUTE = "/queues/blocking"


def _http_api(stage: str, path: str) -> Event:
    event = function_url("POST", path, signed(GOOD), GOOD)
    event["requestContext"]["stage"] = stage
    return event


def _rest_api(stage: str, path: str) -> Event:
    event = rest_api("POST", path, signed(GOOD), GOOD)
    event["requestContext"] |= {"stage": stage, "path": path}
    return event


def _balanced(path: str) -> Event:
    return load_balancer("POST", path, signed(GOOD), GOOD)


def _status(app_url: str | None, event: Event) -> int:
    options: dict[str, t.Any] = {"webhook_secrets": SECRET, "app_url": app_url, "clock": lambda: float(NOW)}
    status: int = lambda_handler(WORKERS, **options)(event, Context())["statusCode"]
    return status


FOUND = {
    "function URL": ("https://x.lambda-url.eu-west-1.on.aws", _http_api("$default", ROUTE)),
    "function URL with a slash": ("https://x.lambda-url.eu-west-1.on.aws/", _http_api("$default", ROUTE)),
    "function URL below a path": ("https://x.on.aws/api/nextmq", _http_api("$default", "/api/nextmq" + ROUTE)),
    "function URL without an app URL": (None, _http_api("$default", ROUTE)),
    "HTTP API, default stage": ("https://x.execute-api.aws", _http_api("$default", ROUTE)),
    "HTTP API, stage": ("https://x.execute-api.aws/prod", _http_api("prod", "/prod" + ROUTE)),
    "HTTP API, stage and path": ("https://x.aws/prod/nextmq", _http_api("prod", "/prod/nextmq" + ROUTE)),
    "HTTP API, stage hidden": ("https://x.aws/prod", _http_api("prod", ROUTE)),
    "HTTP API, stage behind a domain": ("https://api.example", _http_api("prod", "/prod" + ROUTE)),
    "HTTP API, base path": ("https://api.example/v1", _http_api("prod", "/v1" + ROUTE)),
    "HTTP API, base path hidden": ("https://api.example/v1", _http_api("prod", ROUTE)),
    "HTTP API, stage called queues": ("https://x.aws/queues", _http_api("queues", "/queues" + ROUTE)),
    "REST API, stage hidden": ("https://x.execute-api.aws/prod", _rest_api("prod", ROUTE)),
    "REST API, stage": ("https://x.execute-api.aws/prod", _rest_api("prod", "/prod" + ROUTE)),
    "REST API, stage and path": ("https://x.aws/prod/nextmq", _rest_api("prod", "/nextmq" + ROUTE)),
    "REST API, base path": ("https://api.example/v1", _rest_api("prod", "/v1" + ROUTE)),
    "REST API, base path and path": ("https://api.example/v1/nextmq", _rest_api("prod", "/v1/nextmq" + ROUTE)),
    "REST API, base path hidden": ("https://api.example/v1/nextmq", _rest_api("prod", "/nextmq" + ROUTE)),
    "REST API, percent-encoded": ("https://api.example", _rest_api("prod", "/queues/%62locking")),
    "load balancer": ("https://lb.example", _balanced(ROUTE)),
    "load balancer, path": ("https://lb.example/api/nextmq", _balanced("/api/nextmq" + ROUTE)),
    "proxy that adds a path": ("https://cdn.example/nextmq", _balanced("/origin/nextmq" + ROUTE)),
}

NOT_FOUND = {
    "another path": ("https://x.on.aws/api/nextmq", _http_api("$default", "/api/other" + ROUTE)),
    "the mount's end inside a word": ("https://x.on.aws/nextmq", _http_api("$default", "/mynextmq" + ROUTE)),
    "the mount behind the route": ("https://x.on.aws/nextmq", _http_api("$default", ROUTE + "/nextmq")),
    "another stage": ("https://x.aws/prod/nextmq", _http_api("prod", "/dev/nextmq" + ROUTE)),
    "a slash behind": ("https://x.on.aws", _http_api("$default", ROUTE + "/")),
    "a queue with an invalid name": ("https://x.on.aws", _http_api("$default", "/queues/a%20b")),
    "nothing": ("https://x.on.aws", _http_api("$default", "")),
    "the stage alone": ("https://x.aws/prod", _rest_api("prod", "/prod")),
    "a load balancer's other path": ("https://lb.example/nextmq", _balanced("/api" + ROUTE)),
}


@pytest.mark.parametrize(("app_url", "event"), FOUND.values(), ids=FOUND)
def test_a_delivery_is_found_below_the_stage_the_base_path_and_the_mount(
    app_url: str | None, event: Event
) -> None:
    assert _status(app_url, event) == 200


@pytest.mark.parametrize(("app_url", "event"), NOT_FOUND.values(), ids=NOT_FOUND)
def test_another_path_is_not_found(app_url: str, event: Event) -> None:
    assert _status(app_url, event) == 404


@pytest.mark.parametrize(
    "event",
    [
        function_url("GET", "/prod/nextmq/health", [], b""),
        rest_api("GET", "/nextmq/health", [], b""),
        load_balancer("GET", "/nextmq/health", [], b""),
    ],
    ids=["function URL", "REST API", "load balancer"],
)
def test_health_is_found_below_the_mount(event: Event) -> None:
    assert _status("https://x.aws/prod/nextmq", event) == 200


def test_the_host_of_a_request_decides_nothing() -> None:
    headers: HeaderList = [*signed(GOOD), (b"host", b"evil.example/prod"), (b"x-forwarded-host", b"evil.example")]
    assert _status("https://x.on.aws", function_url("POST", ROUTE, headers, GOOD)) == 200
