"""No request makes an integration say a canary, no object shows one, and no setting that cannot work is quoted."""

from __future__ import annotations

import logging
import typing as t

import pytest

from nextmq_adapters.aws_lambda import lambda_handler
from nextmq_adapters.django import nextmq_view
from nextmq_adapters.flask import nextmq_blueprint
from nextmq_handler import AsyncJob, AsyncQueue, ConfigurationError, Job, Queue, create_nextmq_handler
from nextmq_handler.protocol.wire import parse_delivery
from nextmq_handler.receiver.receiver import Receiver
from nextmq_handler.settings import load_settings
from nextmq_handler.wsgi import create_nextmq_wsgi_handler

from .canary import API_KEY, CANARIES, Ear, connection_string, leaks, text_of, text_of_error
from .integrations.integration import Integration
from .limits import DRIVERS
from .outcomes import ROWS
from .setups import SECRET, WORKERS
from .support import Wire, delivery, encode, over_integrations, wire_of
from .test_accepted import HEADS
from .test_attacks import REFUSED
from .test_refusals import CASES

SENT: list[t.Any] = [*CASES, *REFUSED, *HEADS, *ROWS]
URL = connection_string("127.0.0.1:7410")
APP_URL = "http://127.0.0.1:8000/api/nextmq"


def _wire(case: t.Any) -> Wire:
    return wire_of(case.delivery()) if case in ROWS else t.cast("Wire", case.wire)


@over_integrations(SENT, integrations=DRIVERS)
def test_no_request_makes_an_integration_say_a_canary(place: Integration, case: t.Any, ear: Ear) -> None:
    answer = _wire(case).send(place)
    assert leaks(text_of(answer), ear.heard()) == []


def _jobs() -> list[object]:
    body = encode(delivery())
    settings = load_settings(url=URL, app_url=APP_URL)
    return [kind(parse_delivery(body, "dlv_1"), settings, deadline=0.0) for kind in (Job, AsyncJob)]


def _objects() -> dict[str, object]:
    settings = load_settings(url=URL, app_url=APP_URL)
    options: dict[str, t.Any] = {"url": URL, "app_url": APP_URL}
    job, async_job = _jobs()
    return {
        "settings": settings,
        "connection": settings.connection,
        "secret": settings.secrets[0],
        "secrets": settings.secrets,
        "worker": WORKERS[0],
        "handler": Receiver(WORKERS, **options),
        "ASGI handler": create_nextmq_handler(WORKERS, **options),
        "WSGI handler": create_nextmq_wsgi_handler(WORKERS, **options),
        "Flask blueprint": nextmq_blueprint(WORKERS, **options),
        "Django view": nextmq_view(WORKERS, **options),
        "Lambda handler": lambda_handler(WORKERS, **options),
        "Queue": Queue("work", url=URL),
        "AsyncQueue": AsyncQueue("work", url=URL),
        "Job": job,
        "AsyncJob": async_job,
    }


@pytest.mark.parametrize("name", _objects())
@pytest.mark.parametrize("show", [repr, str, "{!r:>9}".format], ids=["repr", "str", "format"])
def test_no_public_object_shows_a_canary(name: str, show: t.Callable[[object], str]) -> None:
    assert leaks(show(_objects()[name])) == []


def test_what_check_says_holds_no_canary() -> None:
    options: dict[str, t.Any] = {"url": connection_string("127.0.0.1:7410"), "app_url": "http://app.example"}
    problems = lambda_handler(WORKERS, **options).check()
    assert (len(problems), leaks(problems)) == (1, [])


BAD_SETTINGS: dict[str, dict[str, t.Any]] = {
    "a scheme that is none": {"url": URL.replace("nextmq+http", "https")},
    "no scheme": {"url": URL.partition("//")[2]},
    "no project": {"url": URL.replace("/shop", "")},
    "two projects": {"url": URL + "/two"},
    "a port that is not a number": {"url": URL.replace("7410", "port")},
    "a port that is too large": {"url": URL.replace("7410", "74100")},
    "a host that is none": {"url": URL.replace("127.0.0.1", "[::1")},
    "a host that is not this machine": {"url": URL.replace("127.0.0.1", "queue.example")},
    "no host": {"url": URL.replace("127.0.0.1:7410", "")},
    "an option": {"url": URL + "?canary=1"},
    "a fragment": {"url": URL + "#canary"},
    "an API key alone": {"url": f"nextmq://{API_KEY}@queue.example/shop"},
    "an API key that no header can carry": {"url": URL.replace(API_KEY, API_KEY + "%0A")},
    "a secret that was cut": {"url": URL.replace(SECRET, SECRET[:-3])},
    "a secret that was joined": {"url": URL.replace(SECRET, SECRET + "*" + SECRET)},
    "a secret without its prefix that is short": {"webhook_secrets": SECRET.removeprefix("whsec_")[:20]},
    "a secret that is too long": {"webhook_secrets": [SECRET * 4]},
    "an app URL with user info": {"app_url": f"https://{API_KEY}:{SECRET}@app.example"},
    "an app URL with a query": {"app_url": f"https://app.example?key={API_KEY}"},
    "an app URL that is the connection string": {"app_url": URL},
}


@pytest.mark.parametrize("options", BAD_SETTINGS.values(), ids=BAD_SETTINGS)
def test_no_error_about_a_setting_quotes_a_canary(options: dict[str, t.Any]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        create_nextmq_handler(WORKERS, **options)
    text = text_of_error(caught.value)
    assert (leaks(text), SECRET.removeprefix("whsec_")[:20] in text) == ([], False)


@pytest.mark.parametrize("canary", CANARIES)
def test_a_canary_in_a_text_is_found(canary: str) -> None:
    assert leaks(f"before {canary} behind") == [canary]


def test_a_canary_in_a_log_record_is_heard(ear: Ear) -> None:
    logging.getLogger("anything").debug("the key is %s", API_KEY)
    assert leaks(ear.heard()) == [API_KEY.removeprefix("nmq_")]


def test_a_canary_that_is_printed_is_heard(ear: Ear) -> None:
    print(SECRET)
    assert leaks(ear.heard()) == [SECRET.removeprefix("whsec_")]
