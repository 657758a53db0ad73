"""`nextmq doctor` finds what is wrong with a set-up, and is silent on a good one of each framework."""

from __future__ import annotations

import sys
import types
import typing as t
from datetime import timedelta
from pathlib import Path

import django
import httpx
import pytest
import redis
from django.conf import settings as django_settings
from django.core.handlers.wsgi import WSGIHandler
from django.urls import path
from fastapi import FastAPI
from flask import Flask
from starlette.applications import Starlette
from starlette.routing import Mount

from nextmq_adapters.aws_lambda import lambda_handler
from nextmq_adapters.django import nextmq_view
from nextmq_adapters.flask import nextmq_blueprint
from nextmq_handler import Queue, Worker, _overrides, create_nextmq_handler, ensure_workers_registered
from nextmq_handler.cli.doctor.command import examine
from nextmq_handler.cli.doctor.findings import Finding
from nextmq_handler.protocol.signing import generate_secret
from nextmq_handler.settings import parse_connection_string
from nextmq_server.testing.live import LiveNextMQ
from tests.support.served_app import MOUNT, ServedApp
from tests.support.unconfigured_django import unconfigured_django

MODULE = "an_app_to_examine"
REMOTE = "nextmq://nmq_key_0123456789:{secret}@queue.example/shop"


class Patient:
    """A set-up: a project of a live server, an app on a port, and the variables of both."""

    def __init__(
        self, live: LiveNextMQ, app: ServedApp, monkeypatch: pytest.MonkeyPatch, client: redis.Redis
    ) -> None:
        self.live = live
        self.app = app
        self.app_url = app.app_url
        self.monkeypatch = monkeypatch
        self.redis = client
        self.url = live.url
        self.secret = parse_connection_string(live.url).webhook_secret
        self.workers = [Worker("emails", lambda job: None, concurrency=4)]
        monkeypatch.setenv("NEXTMQ_URL", self.url)
        monkeypatch.setenv("NEXTMQ_APP_URL", self.app_url)

    def mounted(self, workers: t.Sequence[Worker] | None = None, **options: t.Any) -> t.Any:
        """Return a handler, which the module that the doctor loads has from now on."""
        return self.has(create_nextmq_handler(workers=workers or self.workers, **options))

    def has(self, handler: t.Any) -> t.Any:
        """Put the handler into the module that the doctor loads."""
        module = types.ModuleType(MODULE)
        vars(module)["nextmq"] = handler
        self.monkeypatch.setitem(sys.modules, MODULE, module)
        return handler

    def serve(self, app: t.Any) -> None:
        """Serve the app, and register as it does with its first request."""
        self.app.serve(app)
        httpx.get(f"{self.app.app_url}/health").raise_for_status()

    def register(self, workers: t.Sequence[Worker], **options: t.Any) -> None:
        """Register workers that nobody serves."""
        ensure_workers_registered(workers, **{"url": self.url, "app_url": self.app_url, **options})

    def examine(self) -> list[Finding]:
        """Return what the doctor finds, with the handler of the module if there is one."""
        target = f"{MODULE}:nextmq" if MODULE in sys.modules else None
        return list(examine(None, target))


@pytest.fixture
def patient(
    live_nextmq: LiveNextMQ, live_nextmq_server: t.Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> t.Iterator[Patient]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("nextmq_handler.cli.doctor.workers.REGISTERS_WITHIN", 0.3)
    app = ServedApp()
    with redis.Redis.from_url(live_nextmq_server._valkey.url, decode_responses=True) as client:
        yield Patient(live_nextmq, app, monkeypatch, client)
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", 0)
    app.close()


def no_url(patient: Patient) -> None:
    patient.monkeypatch.delenv("NEXTMQ_URL")
    patient.monkeypatch.setattr(_overrides, "url", None)


def a_url_of_another_kind(patient: Patient) -> None:
    patient.monkeypatch.setenv("NEXTMQ_URL", "https://queue.example/shop")


def no_app_url(patient: Patient) -> None:
    patient.monkeypatch.setattr(_overrides, "url", None)
    patient.monkeypatch.delenv("NEXTMQ_APP_URL")
    patient.mounted()


def no_secret(patient: Patient) -> None:
    patient.monkeypatch.setenv("NEXTMQ_URL", patient.url.replace(f":{patient.secret}", ""))
    module = types.ModuleType(MODULE)
    patient.monkeypatch.setitem(sys.modules, MODULE, module)
    module.__getattr__ = lambda _: create_nextmq_handler(workers=patient.workers)  # type: ignore[method-assign]


def an_app_that_the_server_cannot_reach(patient: Patient) -> None:
    patient.monkeypatch.setenv("NEXTMQ_URL", REMOTE.format(secret=generate_secret()))
    patient.mounted()


def an_app_that_raises(patient: Patient) -> None:
    module = types.ModuleType(MODULE)

    def raise_it(_name: str) -> t.NoReturn:
        raise KeyError("DATABASE_URL")

    module.__getattr__ = raise_it  # type: ignore[method-assign]
    patient.monkeypatch.setitem(sys.modules, MODULE, module)


def no_server(patient: Patient) -> None:
    patient.monkeypatch.setenv("NEXTMQ_URL", f"nextmq+http://nmq_key:{patient.secret}@127.0.0.1:1/dev")


def the_app_instead_of_the_server(patient: Patient) -> None:
    patient.serve(patient.mounted())
    address = patient.app.address.removeprefix("http://")
    patient.monkeypatch.setenv("NEXTMQ_URL", f"nextmq+http://nmq_key:{patient.secret}@{address}/dev")
    patient.mounted()


def a_clock_that_is_wrong(patient: Patient) -> None:
    right = _overrides.wall_clock
    patient.monkeypatch.setattr(_overrides, "wall_clock", lambda: right() + 400)


def another_key(patient: Patient) -> None:
    patient.monkeypatch.setenv("NEXTMQ_URL", patient.url.replace("nmq_", "nmq_0"))


def another_project(patient: Patient) -> None:
    patient.monkeypatch.setenv("NEXTMQ_URL", patient.url + "0")


def another_secret(patient: Patient) -> None:
    patient.monkeypatch.setenv("NEXTMQ_WEBHOOK_SECRETS", generate_secret())


def no_worker_at_all(patient: Patient) -> None:
    pass


def no_app(patient: Patient) -> None:
    patient.mounted()


def another_mount(patient: Patient) -> None:
    patient.monkeypatch.setenv("NEXTMQ_APP_URL", f"{patient.app.address}/jobs")
    patient.app.serve(Starlette(routes=[Mount(MOUNT, patient.mounted())]))


def no_lifespan(patient: Patient) -> None:
    patient.monkeypatch.setattr("nextmq_handler.cli.doctor.workers.REGISTERS_WITHIN", 10)
    patient.app.serve(Starlette(routes=[Mount(MOUNT, patient.mounted())]))


def an_app_of_another_server(patient: Patient) -> None:
    handler = create_nextmq_handler(
        workers=patient.workers, url=f"nextmq+http://nmq_key:{patient.secret}@127.0.0.1:1/dev"
    )
    patient.app.serve(Starlette(routes=[Mount(MOUNT, handler)]))
    patient.mounted()


def another_version(patient: Patient) -> None:
    patient.serve(patient.mounted())
    patient.mounted([Worker("emails", lambda job: None, concurrency=8)])


def a_timeout_over_the_servers(patient: Patient) -> None:
    patient.serve(patient.mounted())
    patient.mounted([Worker("emails", lambda job: None, timeout=timedelta(hours=1))])


def an_app_that_went_away(patient: Patient) -> None:
    patient.register(patient.workers)


def an_app_with_another_secret(patient: Patient) -> None:
    handler = create_nextmq_handler(workers=patient.workers, webhook_secrets=generate_secret())
    patient.app.serve(Starlette(routes=[Mount(MOUNT, handler)]))
    patient.register(patient.workers)


def a_page_in_front(patient: Patient) -> None:
    patient.app.serve(Flask("another"))
    patient.register(patient.workers)


def a_platform_that_ends_requests(patient: Patient) -> None:
    app_url = "https://abc.execute-api.eu-central-1.amazonaws.com"
    patient.register([Worker("emails", lambda job: None, timeout=60)], app_url=app_url)


def a_redis_that_evicts(patient: Patient) -> None:
    patient.redis.config_set("maxmemory-policy", "allkeys-lru")


def a_redis_that_is_nearly_full(patient: Patient) -> None:
    patient.redis.config_set("maxmemory", round(patient.redis.info("memory")["used_memory"] / 0.86))


def a_misspelt_queue(patient: Patient) -> None:
    patient.serve(patient.mounted())
    Queue("Emails").add_bulk([{"name": "welcome", "data": None}] * 12)


BROKEN: dict[t.Callable[[Patient], None], tuple[str, str]] = {
    no_url: ("settings", "NEXTMQ_URL is not set"),
    a_url_of_another_kind: ("settings", "NEXTMQ_URL must look like nextmq://"),
    no_app_url: ("settings", "NEXTMQ_APP_URL is not set"),
    no_secret: ("handler", "the connection string has no webhook secret"),
    an_app_that_the_server_cannot_reach: ("settings", "which the server at queue.example cannot reach"),
    an_app_that_raises: ("handler", "KeyError: 'DATABASE_URL'"),
    no_server: ("server", "nothing answers at http://127.0.0.1:1"),
    the_app_instead_of_the_server: ("server", "something other than a NextMQ server answers"),
    a_clock_that_is_wrong: ("clock", "s before the server's: deliveries get 401"),
    another_key: ("key", "no project of this server has the API key"),
    another_project: ("key", "correct the project in NEXTMQ_URL"),
    another_secret: ("secret", "is not one of the project's"),
    no_worker_at_all: ("worker", "no app has registered a worker"),
    no_app: ("worker", "emails: not registered, and the app does not answer at"),
    another_mount: ("worker", "has no handler at"),
    no_lifespan: ("worker", "registered only when its /health was asked"),
    an_app_of_another_server: ("worker", "not registered, and the app at"),
    another_version: ("worker", "registered differently from this code: concurrency 4 → 8"),
    a_timeout_over_the_servers: ("worker", "longer than this server allows"),
    an_app_that_went_away: ("endpoint", "(unreachable)"),
    an_app_with_another_secret: ("endpoint", "(wrong_secret)"),
    a_page_in_front: ("endpoint", "(wrong_path)"),
    a_platform_that_ends_requests: ("endpoint", "timeout is 60 s, and API Gateway ends requests after 30 s"),
    a_redis_that_evicts: ("redis", "maxmemory-policy allkeys-lru: it deletes jobs"),
    a_redis_that_is_nearly_full: ("redis", "of its memory"),
    a_misspelt_queue: ("queue", 'queue "Emails" has 12 waiting jobs and no worker; did you mean "emails"?'),
}


@pytest.mark.parametrize(("break_it", "told"), BROKEN.items(), ids=lambda value: getattr(value, "__name__", ""))
def test_what_is_wrong_is_found_with_its_fix(
    patient: Patient, break_it: t.Callable[[Patient], None], told: tuple[str, str]
) -> None:
    break_it(patient)
    found = [finding for finding in patient.examine() if finding.is_ok is False]
    check, words = told
    # What is lower on the ladder may follow from it.
    assert found[0].check == check, found
    assert any(words in each.text for each in found if each.check == check), found
    assert patient.secret not in str(found)


def fastapi_app(patient: Patient) -> t.Any:
    handler = patient.mounted()
    app = FastAPI(lifespan=handler.lifespan)
    app.mount(MOUNT, handler)
    return app


def starlette_app(patient: Patient) -> t.Any:
    handler = patient.mounted()
    return Starlette(lifespan=handler.lifespan, routes=[Mount(MOUNT, handler)])


def flask_app(patient: Patient) -> t.Any:
    app = Flask("app")
    app.register_blueprint(patient.has(nextmq_blueprint(workers=patient.workers)), url_prefix=MOUNT)
    return app


def django_app(patient: Patient) -> t.Any:
    view = patient.has(nextmq_view(workers=patient.workers))
    urls = types.ModuleType("doctors_urls")
    vars(urls)["urlpatterns"] = [path(f"{MOUNT[1:]}/<path:path>", view)]
    patient.monkeypatch.setitem(sys.modules, "doctors_urls", urls)
    django_settings.configure(ROOT_URLCONF="doctors_urls", ALLOWED_HOSTS=["*"], SECRET_KEY="x")
    django.setup()
    return WSGIHandler()


def lambda_app(patient: Patient) -> t.Any:
    patient.monkeypatch.setenv("NEXTMQ_APP_URL", patient.app.address)
    patient.app_url = patient.app.address
    return patient.has(lambda_handler(workers=patient.workers))


GOOD = [fastapi_app, starlette_app, flask_app, django_app, lambda_app]


@pytest.mark.parametrize("app_of", GOOD, ids=lambda app_of: app_of.__name__)
def test_a_good_setup_has_nothing_wrong(patient: Patient, app_of: t.Callable[[Patient], t.Any]) -> None:
    with unconfigured_django():
        patient.app.serve(app_of(patient))
        httpx.get(f"{patient.app_url}/health").raise_for_status()
        found = patient.examine()
    assert [finding for finding in found if finding.is_ok is not True] == []
    assert {finding.check for finding in found} >= {
        "settings",
        "handler",
        "clock",
        "key",
        "secret",
        "worker",
        "endpoint",
    }
