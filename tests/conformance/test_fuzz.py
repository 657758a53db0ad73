"""Whatever is sent to an integration of this process, it answers: no exception, and never a 5xx."""

from __future__ import annotations

import copy
import json
import typing as t
from urllib.parse import quote_from_bytes

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nextmq_adapters.aws_lambda import lambda_handler
from nextmq_handler import ConfigurationError

from .integrations.aws_lambda import Build, Context, function_url, load_balancer, load_balancer_multi, rest_api
from .integrations.integration import HeaderList, Integration
from .limits import IN_PROCESS
from .setups import NOW, SECRET, UNKNOWN_SECRET, WORKERS
from .support import GOOD, JSON, Wire, delivery, encode, every_integration, seal, signed

fuzz = settings(max_examples=50, deadline=None, derandomize=True, print_blob=True)
fuzz_events = settings(fuzz, max_examples=200)

texts = st.text(alphabet=st.characters(exclude_categories=()), max_size=12)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
names = st.sampled_from(
    [
        b"content-type",
        b"content-length",
        b"content-encoding",
        b"transfer-encoding",
        b"x-nextmq-id",
        b"x-nextmq-timestamp",
        b"X-NextMQ-Signature",
        b"host",
        b"cookie",
        b"authorization",
        b"expect",
        b"x-forwarded-prefix",
    ]
) | st.binary(min_size=1, max_size=10)
values = st.sampled_from(
    [
        b"",
        b"application/json",
        b"identity",
        b"0",
        b"417",
        b"-1",
        b"dlv_1",
        b"%d" % NOW,
        b"v1,",
        b"a:b:c",
        b"chunked",
    ]
) | st.binary(max_size=30)
headers = st.lists(st.tuples(names, values), max_size=8)
changes = st.dictionaries(st.sampled_from([*delivery()]), json_values, max_size=2)
job_changes = st.dictionaries(st.sampled_from([*delivery()["job"]]), json_values, max_size=2)
bodies = st.one_of(
    st.binary(max_size=200),
    json_values.map(encode),
    changes.map(lambda members: encode(delivery() | members)),
    job_changes.map(lambda members: encode(delivery(job=members))),
    st.tuples(st.integers(0, len(GOOD)), st.binary(max_size=5)).map(lambda cut: GOOD[: cut[0]] + cut[1]),
)
methods = st.sampled_from(["POST", "GET", "HEAD", "OPTIONS", "CONNECT"]) | st.from_regex(
    r"[A-Za-z!#$%]{1,8}", fullmatch=True
)
routes = st.one_of(
    st.sampled_from(["/queues/blocking", "/queues/unmounted", "/queues/", "/health", "/", "", "//"]),
    st.binary(max_size=20).map(lambda raw: "/" + quote_from_bytes(raw)),
    st.binary(max_size=20).map(lambda raw: "/queues/" + quote_from_bytes(raw)),
)


@every_integration(integrations=IN_PROCESS)
@fuzz
@given(head=headers, body=bodies)
def test_any_request_that_is_not_signed_is_refused(place: Integration, head: HeaderList, body: bytes) -> None:
    answer = Wire(head, body).send(place)
    assert 400 <= answer.status < 500


@every_integration(integrations=IN_PROCESS)
@fuzz
@given(more=headers, body=bodies, secret=st.sampled_from([SECRET, UNKNOWN_SECRET]))
def test_any_request_that_is_signed_is_answered(
    place: Integration, more: HeaderList, body: bytes, secret: str
) -> None:
    answer = Wire([*signed(body, secrets=[secret]), *more], body).send(place)
    assert 200 <= answer.status < 500


@every_integration(integrations=IN_PROCESS)
@fuzz
@given(method=methods, route=routes, body=bodies)
def test_any_method_of_any_path_is_answered(place: Integration, method: str, route: str, body: bytes) -> None:
    answer = Wire(signed(body), body, method=method, route=route).send(place)
    assert 200 <= answer.status < 500


@every_integration(integrations=IN_PROCESS)
@fuzz
@given(body=bodies)
def test_any_body_under_another_secrets_signature_is_refused_as_not_authentic(
    place: Integration, body: bytes
) -> None:
    head = [JSON, (b"content-length", b"%d" % len(body)), *seal(body, secrets=[UNKNOWN_SECRET])]
    answer = Wire(head, body).send(place)
    assert (answer.status, answer.json) == (401, {"error": "unauthorized"})


def _places(value: t.Any, path: tuple[t.Any, ...] = ()) -> t.Iterator[tuple[t.Any, ...]]:
    """Where something can be taken out of an event, or put in its place."""
    members: t.Iterable[tuple[t.Any, t.Any]] = ()
    if isinstance(value, dict):
        members = value.items()
    elif isinstance(value, list):
        members = enumerate(value)
    for key, member in members:
        yield (*path, key)
        yield from _places(member, (*path, key))


@st.composite
def events(draw: st.DrawFn, build: Build) -> t.Any:
    """Return a real event of one shape, some of it removed, replaced or added."""
    route = draw(st.sampled_from(["/queues/blocking", "/health", "/queues/x"]))
    event: t.Any = build(draw(st.sampled_from(["POST", "GET"])), f"/plain/nextmq{route}", signed(GOOD), GOOD)
    event = copy.deepcopy(event)
    for _ in range(draw(st.integers(0, 4))):
        places = sorted(_places(event), key=repr)
        if not places:
            break
        *way, last = draw(st.sampled_from(places))
        holder = event
        for key in way:
            holder = holder[key]
        action = draw(st.sampled_from(["remove", "replace", "add"]))
        if action == "remove":
            del holder[last]
        elif action == "replace" or isinstance(holder, list):
            holder[last] = draw(json_values)
        else:
            holder[draw(texts)] = draw(json_values)
    return event


_OPTIONS: dict[str, t.Any] = {
    "webhook_secrets": SECRET,
    "app_url": "https://app.example/plain/nextmq",
    "clock": lambda: float(NOW),
}
FUNCTION = lambda_handler(WORKERS, **_OPTIONS)
SHAPES: dict[str, Build] = {
    "function URL": function_url,
    "REST API": rest_api,
    "load balancer": load_balancer,
    "load balancer, multi-value": load_balancer_multi,
}


def _is_foreign(event: t.Any) -> bool:
    context = event.get("requestContext")
    context = context if isinstance(context, dict) else {}
    return not isinstance(context.get("http"), dict) and "elb" not in context and "httpMethod" not in event


@pytest.mark.parametrize("build", SHAPES.values(), ids=SHAPES)
@fuzz_events
@given(data=st.data())
def test_any_event_is_answered_in_its_shape_or_refused_as_foreign(build: Build, data: st.DataObject) -> None:
    event = data.draw(events(build))
    answer = _answer_to(event)
    assert answer is None if _is_foreign(event) else _is_answer(answer)


def _answer_to(event: t.Any) -> dict[str, t.Any] | None:
    """None where the function says that the event is foreign; anything else that it raises fails the test."""
    try:
        return FUNCTION(event, Context())
    except ConfigurationError:
        return None


def _is_answer(answer: t.Any) -> bool:
    json.dumps(answer)
    single, multi = answer.get("headers"), answer.get("multiValueHeaders")
    lists = list(multi.values()) if isinstance(multi, dict) else [[text] for text in single.values()]
    return (
        type(answer["statusCode"]) is int
        and 200 <= answer["statusCode"] < 500
        and isinstance(answer["body"], str)
        and answer["isBase64Encoded"] is False
        and (single is None) != (multi is None)
        and all(isinstance(text, str) for texts in lists for text in texts)
    )


@fuzz_events
@given(event=json_values)
def test_any_json_is_a_foreign_event(event: t.Any) -> None:
    with pytest.raises(ConfigurationError, match="not an HTTP request"):
        FUNCTION(event, Context())
