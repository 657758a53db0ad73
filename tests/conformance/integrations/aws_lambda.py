"""The Lambda integrations: requests as events of a function URL, a REST API and a load balancer."""

from __future__ import annotations

import base64
import typing as t

from nextmq_adapters.aws_lambda import LambdaHandler, lambda_handler

from ..setups import WORKERS, setups
from .integration import Answer, HeaderList, split_mount

Event = dict[str, t.Any]
Build = t.Callable[[str, str, HeaderList, bytes], Event]
Read = t.Callable[[dict[str, t.Any]], Answer]


class Context:
    """The runtime's context, of which one method is used."""

    def __init__(self, seconds: float = 60.0) -> None:
        self._seconds = seconds

    def get_remaining_time_in_millis(self) -> int:
        return round(self._seconds * 1000)


class LambdaIntegration:
    """Turns requests into events of one shape for the functions of this process."""

    def __init__(self, build: Build, read: Read) -> None:
        self._build = build
        self._read = read
        self._function = function_of_all_setups()

    def send(self, method: str, target: str, headers: HeaderList, body: bytes, *, stalls: bool = False) -> Answer:
        assert not stalls
        return self._read(self._function(self._build(method, target, headers, body), Context()))


def function_of_all_setups() -> t.Callable[[Event, t.Any], dict[str, t.Any]]:
    """One function that knows by the path which setup's handler is meant."""
    handlers: dict[str, LambdaHandler] = {
        name: lambda_handler(WORKERS, **options) for name, options in setups().items()
    }

    def function(event: Event, context: t.Any) -> dict[str, t.Any]:
        setup, _ = split_mount(event.get("rawPath") or event["path"])
        return handlers[setup](event, context)

    return function


def function_url(method: str, target: str, headers: HeaderList, body: bytes) -> Event:
    """Payload version 2.0: names in lower case, repeated headers joined."""
    path, _, query = target.partition("?")
    joined: dict[str, str] = {}
    for name, value in _texts(headers):
        joined[name] = f"{joined[name]},{value}" if name in joined else value
    event: Event = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "headers": joined,
        "requestContext": {
            "accountId": "anonymous",
            "apiId": "abc",
            "domainName": "abc.lambda-url.eu-west-1.on.aws",
            "http": {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1"},
            "routeKey": "$default",
            "stage": "$default",
            "timeEpoch": 1_790_000_000_000,
        },
        "isBase64Encoded": False,
    }
    if body:  # the key is absent otherwise
        event |= _body(body)
    return event


def rest_api(method: str, target: str, headers: HeaderList, body: bytes) -> Event:
    """Payload version 1.0: each header once with its last value, and once with all of them."""
    path, _, query = target.partition("?")
    multi = _lists(headers)
    return {
        "resource": "/{proxy+}",
        "path": path,
        "httpMethod": method,
        "headers": {name: values[-1] for name, values in multi.items()},
        "multiValueHeaders": multi,
        "queryStringParameters": {"query": query} if query else None,
        "pathParameters": {"proxy": path[1:]},
        "requestContext": {"stage": "prod", "path": f"/prod{path}", "httpMethod": method, "apiId": "abc"},
        **(_body(body) if body else {"body": None, "isBase64Encoded": False}),
    }


def load_balancer(method: str, target: str, headers: HeaderList, body: bytes) -> Event:
    """Return a load balancer's event with single values: the last of each header."""
    return {**_balanced(method, target, body), "headers": dict(_texts(headers))}


def load_balancer_multi(method: str, target: str, headers: HeaderList, body: bytes) -> Event:
    """Return a load balancer's event with multi-value headers switched on."""
    return {**_balanced(method, target, body), "multiValueHeaders": _lists(headers)}


def read_single(answer: dict[str, t.Any]) -> Answer:
    """Read an answer of payload version 2.0."""
    assert set(answer) == {"statusCode", "headers", "body", "isBase64Encoded"}
    return _answer(answer, [(name, value) for name, value in answer["headers"].items()])


def read_multi(answer: dict[str, t.Any]) -> Answer:
    """Read an answer of payload version 1.0."""
    assert set(answer) == {"statusCode", "multiValueHeaders", "body", "isBase64Encoded"}
    return _answer(answer, _pairs(answer["multiValueHeaders"]))


def read_balanced(answer: dict[str, t.Any]) -> Answer:
    """Read an answer for a load balancer with single values."""
    assert set(answer) == {"statusCode", "statusDescription", "headers", "body", "isBase64Encoded"}
    return _answer(answer, [(name, value) for name, value in answer["headers"].items()])


def read_balanced_multi(answer: dict[str, t.Any]) -> Answer:
    """Read an answer for a load balancer with multi-value headers, the only kind that it takes."""
    assert set(answer) == {"statusCode", "statusDescription", "multiValueHeaders", "body", "isBase64Encoded"}
    return _answer(answer, _pairs(answer["multiValueHeaders"]))


def _balanced(method: str, target: str, body: bytes) -> Event:
    path, _, query = target.partition("?")
    return {
        "requestContext": {"elb": {"targetGroupArn": "arn:aws:elasticloadbalancing:eu-west-1:1:targetgroup/a/b"}},
        "httpMethod": method,
        "path": path,
        "queryStringParameters": {"query": query} if query else {},
        **_body(body),
    }


def _answer(answer: dict[str, t.Any], headers: list[tuple[str, str]]) -> Answer:
    assert type(answer["statusCode"]) is int
    assert answer["isBase64Encoded"] is False
    raw = [(name.lower().encode("ascii"), value.encode("ascii")) for name, value in headers]
    return Answer(answer["statusCode"], raw, answer["body"].encode())


def _pairs(lists: dict[str, list[str]]) -> list[tuple[str, str]]:
    return [(name, value) for name, values in lists.items() for value in values]


def _body(body: bytes) -> Event:
    try:
        return {"body": body.decode(), "isBase64Encoded": False}
    except UnicodeDecodeError:
        return {"body": base64.b64encode(body).decode(), "isBase64Encoded": True}


def _texts(headers: HeaderList) -> list[tuple[str, str]]:
    return [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in headers]


def _lists(headers: HeaderList) -> dict[str, list[str]]:
    lists: dict[str, list[str]] = {}
    for name, value in headers:
        lists.setdefault(name.decode("latin-1"), []).append(value.decode("latin-1"))
    return lists
