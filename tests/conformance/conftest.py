"""The homes, started when they are first used and stopped at the end; and the count of what ran in them."""

from __future__ import annotations

import logging
import typing as t
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal

from .canary import Ear
from .integrations import asgi as homes_asgi
from .integrations import aws_lambda as homes_lambda
from .integrations import processes as homes_processes
from .integrations import wsgi as homes_wsgi
from .integrations.integration import Home, Stopper
from .limits import HOMES


class Homes:
    """Every home, by name."""

    def __init__(self, portal: BlockingPortal) -> None:
        self._makers: dict[str, Callable[[], Home]] = {
            "asgi": lambda: homes_asgi.ASGIHome(homes_asgi.alone(), portal),
            "starlette": lambda: homes_asgi.ASGIHome(homes_asgi.starlette_mount(), portal),
            "fastapi-mount": lambda: homes_asgi.ASGIHome(homes_asgi.fastapi_mount(), portal),
            "fastapi-router": lambda: homes_asgi.ASGIHome(homes_asgi.fastapi_router(), portal),
            "litestar": lambda: homes_asgi.ASGIHome(homes_asgi.litestar_mount(), portal),
            "wsgi": lambda: homes_wsgi.WSGIHome(homes_wsgi.alone()),
            "flask": lambda: homes_wsgi.WSGIHome(homes_wsgi.flask_blueprint()),
            "django": lambda: homes_wsgi.WSGIHome(homes_wsgi.django_view()),
            "lambda-url": lambda: homes_lambda.LambdaHome(homes_lambda.function_url, homes_lambda.read_single),
            "lambda-rest": lambda: homes_lambda.LambdaHome(homes_lambda.rest_api, homes_lambda.read_multi),
            "alb": lambda: homes_lambda.LambdaHome(homes_lambda.load_balancer, homes_lambda.read_balanced),
            "alb-multi": lambda: homes_lambda.LambdaHome(
                homes_lambda.load_balancer_multi, homes_lambda.read_balanced_multi
            ),
            "uvicorn": homes_processes.uvicorn,
            "hypercorn": homes_processes.hypercorn,
            "gunicorn-flask": homes_processes.gunicorn,
            "awslambdaric": homes_processes.runtime,
        }
        assert tuple(self._makers) == HOMES
        self._made: dict[str, Home] = {}

    def __getitem__(self, name: str) -> Home:
        if name not in self._made:
            self._made[name] = self._makers[name]()
        return self._made[name]

    def stop(self) -> None:
        for home in self._made.values():
            if hasattr(home, "stop"):
                t.cast("Stopper", home).stop()


@pytest.fixture(scope="session", autouse=True)
def _no_settings_in_the_environment() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for variable in ("NEXTMQ_URL", "NEXTMQ_APP_URL", "NEXTMQ_WEBHOOK_SECRETS"):
            patch.delenv(variable, raising=False)
        yield


@pytest.fixture(scope="session")
def portal(_no_settings_in_the_environment: None) -> Iterator[BlockingPortal]:
    """The loop that the ASGI homes of this process run on."""
    with start_blocking_portal() as started:
        yield started


@pytest.fixture(scope="session")
def homes(portal: BlockingPortal) -> Iterator[Homes]:
    made = Homes(portal)
    yield made
    made.stop()


@pytest.fixture(scope="session")
def home(request: pytest.FixtureRequest, homes: Homes) -> Home:
    """The home that the test is parametrized with."""
    return homes[request.param]


@pytest.fixture(scope="session")
def place(request: pytest.FixtureRequest, homes: Homes) -> Home:
    """The same, in tests that are for some of the homes only."""
    return homes[request.param]


@pytest.fixture
def ear(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> Ear:
    caplog.set_level(logging.DEBUG)
    return Ear(caplog, capfd)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Marks each case in each home, for the count at the end, which another process may print."""
    for item in session.items:
        if item.path.parent == Path(__file__).parent and isinstance(item, pytest.Function):
            pair = _case_and_home(item)
            if pair is not None:
                item.user_properties.append(("conformance", pair))


def _case_and_home(item: pytest.Function) -> tuple[str, str] | None:
    params: dict[str, t.Any] = item.callspec.params if hasattr(item, "callspec") else {}
    if "home" not in params:
        return None
    others = [str(getattr(value, "name", value)) for name, value in params.items() if name != "home"]
    return ":".join([item.nodeid.partition("[")[0], *others]), params["home"]
