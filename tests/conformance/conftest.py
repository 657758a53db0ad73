"""The integrations, started when they are first used and stopped at the end; and the count of what ran in them."""

from __future__ import annotations

import logging
import typing as t
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal

from .canary import Ear
from .integrations import asgi as integrations_asgi
from .integrations import aws_lambda as integrations_lambda
from .integrations import processes as integrations_processes
from .integrations import wsgi as integrations_wsgi
from .integrations.integration import Integration, Stopper
from .limits import INTEGRATIONS

_WHOLE = ("test_first_job.py", "test_outcomes.py")
"""The files whose every case runs on each Python: real servers, and processors with what they return and raise."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what runs on each Python: of each other test, the first case of each place. Fuzzed requests do not."""
    marked = set[tuple[str, str]]()
    for item in items:
        if item.path.parent != Path(__file__).parent or item.path.name == "test_fuzz.py":
            continue
        params = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
        place = item.nodeid.partition("[")[0], str(params.get("integration", params.get("place", "")))
        if item.path.name in _WHOLE or place not in marked:
            item.add_marker(pytest.mark.versions)
            marked.add(place)


class Integrations:
    """Every integration, by name."""

    def __init__(self, portal: BlockingPortal) -> None:
        self._makers: dict[str, Callable[[], Integration]] = {
            "asgi": lambda: integrations_asgi.ASGIIntegration(integrations_asgi.alone(), portal),
            "starlette": lambda: integrations_asgi.ASGIIntegration(integrations_asgi.starlette_mount(), portal),
            "fastapi-mount": lambda: integrations_asgi.ASGIIntegration(integrations_asgi.fastapi_mount(), portal),
            "fastapi-router": lambda: integrations_asgi.ASGIIntegration(
                integrations_asgi.fastapi_router(), portal
            ),
            "litestar": lambda: integrations_asgi.ASGIIntegration(integrations_asgi.litestar_mount(), portal),
            "wsgi": lambda: integrations_wsgi.WSGIIntegration(integrations_wsgi.alone()),
            "flask": lambda: integrations_wsgi.WSGIIntegration(integrations_wsgi.flask_blueprint()),
            "django": lambda: integrations_wsgi.WSGIIntegration(integrations_wsgi.django_view()),
            "lambda-url": lambda: integrations_lambda.LambdaIntegration(
                integrations_lambda.function_url, integrations_lambda.read_single
            ),
            "lambda-rest": lambda: integrations_lambda.LambdaIntegration(
                integrations_lambda.rest_api, integrations_lambda.read_multi
            ),
            "alb": lambda: integrations_lambda.LambdaIntegration(
                integrations_lambda.load_balancer, integrations_lambda.read_balanced
            ),
            "alb-multi": lambda: integrations_lambda.LambdaIntegration(
                integrations_lambda.load_balancer_multi, integrations_lambda.read_balanced_multi
            ),
            "uvicorn": integrations_processes.uvicorn,
            "hypercorn": integrations_processes.hypercorn,
            "gunicorn-flask": integrations_processes.gunicorn,
            "gunicorn-django": lambda: integrations_processes.gunicorn("django_wsgi()"),
            "gunicorn-django-atomic": lambda: integrations_processes.gunicorn("django_wsgi(atomic=True)"),
            "uvicorn-django": lambda: integrations_processes.uvicorn("django_asgi"),
            "uvicorn-django-atomic": lambda: integrations_processes.uvicorn("django_asgi_atomic"),
            "awslambdaric": integrations_processes.runtime,
        }
        assert tuple(self._makers) == INTEGRATIONS
        self._made: dict[str, Integration] = {}

    def __getitem__(self, name: str) -> Integration:
        if name not in self._made:
            self._made[name] = self._makers[name]()
        return self._made[name]

    def stop(self) -> None:
        for integration in self._made.values():
            if hasattr(integration, "stop"):
                t.cast("Stopper", integration).stop()


@pytest.fixture(scope="session", autouse=True)
def _no_settings_in_the_environment() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for variable in ("NEXTMQ_URL", "NEXTMQ_APP_URL", "NEXTMQ_WEBHOOK_SECRETS"):
            patch.delenv(variable, raising=False)
        yield


@pytest.fixture(scope="session")
def portal(_no_settings_in_the_environment: None) -> Iterator[BlockingPortal]:
    """Run the loop of the ASGI integrations of this process."""
    with start_blocking_portal() as started:
        yield started


@pytest.fixture(scope="session")
def integrations(portal: BlockingPortal) -> Iterator[Integrations]:
    made = Integrations(portal)
    yield made
    made.stop()


@pytest.fixture(scope="session")
def integration(request: pytest.FixtureRequest, integrations: Integrations) -> Integration:
    """Return the integration that the test is parametrized with."""
    return integrations[request.param]


@pytest.fixture(scope="session")
def place(request: pytest.FixtureRequest, integrations: Integrations) -> Integration:
    """Return the same, in tests for some of the integrations only."""
    return integrations[request.param]


@pytest.fixture
def ear(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> Ear:
    caplog.set_level(logging.DEBUG)
    return Ear(caplog, capfd)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Mark each case in each integration, for the count at the end, which another process may print."""
    for item in session.items:
        if item.path.parent == Path(__file__).parent and isinstance(item, pytest.Function):
            pair = _case_and_integration(item)
            if pair is not None:
                item.user_properties.append(("conformance", pair))


def _case_and_integration(item: pytest.Function) -> tuple[str, str] | None:
    params: dict[str, t.Any] = item.callspec.params if hasattr(item, "callspec") else {}
    if "integration" not in params:
        return None
    others = [str(getattr(value, "name", value)) for name, value in params.items() if name != "integration"]
    return ":".join([item.nodeid.partition("[")[0], *others]), params["integration"]
