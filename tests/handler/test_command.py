"""`python -m nextmq_handler`: register a handler's workers, or put them in the place of others."""

import json
import subprocess
import sys
import types
import typing as t
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
import respx

from nextmq_adapters.aws_lambda import lambda_handler
from nextmq_adapters.flask import nextmq_blueprint
from nextmq_handler import Worker, create_nextmq_handler
from nextmq_handler.__main__ import main
from nextmq_handler.wsgi import create_nextmq_wsgi_handler
from tests.support.handler import APP_URL, URL

OK = httpx.Response(200, json={})
CONFLICT = httpx.Response(409, json={"error": "worker_conflict", "details": {"fields": ["url"]}})
MAKERS: dict[str, Callable[..., t.Any]] = {
    "ASGI": create_nextmq_handler,
    "WSGI": create_nextmq_wsgi_handler,
    "Flask": nextmq_blueprint,
    "Lambda": lambda_handler,
}
WORKERS = [Worker("emails", lambda job: None), Worker("reports", lambda job: None)]


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEXTMQ_URL", URL)
    monkeypatch.setenv("NEXTMQ_APP_URL", APP_URL)
    monkeypatch.setattr(sys, "path", list(sys.path))


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch) -> Iterator[types.ModuleType]:
    """Make a module `shop`, whose `nextmq` is a handler of two workers."""
    module = types.ModuleType("shop")
    module.nextmq = create_nextmq_handler(WORKERS)  # type: ignore[attr-defined]
    module.api = types.SimpleNamespace(nextmq=module.nextmq)  # type: ignore[attr-defined]
    module.number = 7  # type: ignore[attr-defined]
    module.workers = WORKERS  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "shop", module)
    return module


@pytest.fixture
def printed_at_the_end(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Give a function that runs a command which fails, and returns the line that it prints."""

    def run(*arguments: str) -> str:
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        assert caught.value.code in (1, 2, 3)
        return capsys.readouterr().err.removesuffix("\n")

    return run


@pytest.mark.usefixtures("shop")
def test_register_registers_each_worker(server: respx.MockRouter) -> None:
    routes = [server.put(f"/v1/queues/{name}/worker").mock(OK) for name in ("emails", "reports")]
    main(["register", "shop:nextmq"])
    assert [route.call_count for route in routes] == [1, 1]


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize("command", [["register"], ["workers", "replace"]], ids=" ".join)
def test_a_command_that_worked_prints_the_queues(
    command: list[str], server: respx.MockRouter, capsys: pytest.CaptureFixture[str]
) -> None:
    server.get(url__regex="/worker$").respond(404, json={"error": "not_found"})
    server.put(url__regex="/worker").mock(OK)
    main([*command, "shop:nextmq"])
    assert capsys.readouterr().out == "registered emails, reports\n"


@pytest.mark.usefixtures("shop")
def test_register_replaces_nothing(server: respx.MockRouter) -> None:
    route = server.put(url__regex="/worker").mock(OK)
    main(["register", "shop:nextmq"])
    assert [call.request.url.query for call in route.calls] == [b"", b""]


@pytest.mark.usefixtures("shop")
def test_replace_names_the_registration_that_it_replaces(server: respx.MockRouter) -> None:
    server.get("/v1/queues/emails/worker").respond(200, json={"fingerprint": "theirs"})
    server.get("/v1/queues/reports/worker").respond(404, json={"error": "not_found"})
    emails = server.put("/v1/queues/emails/worker").mock(OK)
    server.put("/v1/queues/reports/worker").mock(OK)
    main(["workers", "replace", "shop:nextmq"])
    assert dict(emails.calls.last.request.url.params) == {"replace": "true", "fingerprint": "theirs"}


@pytest.mark.usefixtures("shop")
def test_a_handler_inside_of_an_object_is_found(server: respx.MockRouter) -> None:
    route = server.put(url__regex="/worker").mock(OK)
    main(["register", "shop:api.nextmq"])
    assert route.call_count == 2


@pytest.mark.parametrize("make_home", MAKERS.values(), ids=MAKERS)
def test_the_handler_of_every_home_is_registered(
    make_home: Callable[..., t.Any], shop: types.ModuleType, server: respx.MockRouter
) -> None:
    routes = [server.put(f"/v1/queues/{name}/worker").mock(OK) for name in ("emails", "reports")]
    shop.home = make_home(WORKERS)  # type: ignore[attr-defined]
    main(["register", "shop:home"])
    assert [route.call_count for route in routes] == [1, 1]


@pytest.mark.parametrize("make_home", MAKERS.values(), ids=MAKERS)
def test_every_home_has_its_workers(make_home: Callable[..., t.Any]) -> None:
    assert make_home(WORKERS).workers == tuple(WORKERS)


def test_a_module_of_the_working_directory_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: respx.MockRouter
) -> None:
    (tmp_path / "the_shop_of_this_folder.py").write_text(
        "from nextmq_handler import Worker, create_nextmq_handler\n"
        "nextmq = create_nextmq_handler([Worker('emails', lambda job: None)])\n"
    )
    monkeypatch.chdir(tmp_path)
    route = server.put("/v1/queues/emails/worker").mock(OK)
    main(["register", "the_shop_of_this_folder:nextmq"])
    assert json.loads(route.calls.last.request.content)["url"] == f"{APP_URL}/queues/emails"


@pytest.mark.parametrize("target", ["", ":", "shop", "shop:", ":nextmq", ".shop:nextmq", "..:nextmq"])
def test_a_target_that_names_no_module_and_handler_is_refused_with_an_example(
    printed_at_the_end: Callable[..., str], target: str
) -> None:
    message = printed_at_the_end("register", target)
    assert message == f"nextmq: {target!r} is not module:handler, such as app.main:nextmq"


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("no_such_module:nextmq", "No module named 'no_such_module'"),
        ("shop.nothing:nextmq", "No module named 'shop.nothing'; 'shop' is not a package"),
        ("shop:nothing", "module 'shop' has no attribute 'nothing'"),
        ("shop:api.nothing", "'types.SimpleNamespace' object has no attribute 'nothing'"),
        ("shop:nextmq:more", "module 'shop' has no attribute 'nextmq:more'"),
    ],
)
def test_a_target_that_cannot_be_loaded_is_refused_with_the_reason(
    printed_at_the_end: Callable[..., str], target: str, reason: str
) -> None:
    assert printed_at_the_end("register", target) == f"nextmq: {target} cannot be loaded: {reason}"


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize(("target", "kind"), [("shop:number", "int"), ("shop:api", "SimpleNamespace")])
def test_a_target_that_is_not_a_handler_is_refused_by_its_type(
    printed_at_the_end: Callable[..., str], target: str, kind: str
) -> None:
    message = printed_at_the_end("register", target)
    assert message == f"nextmq: {target} is of type {kind}, not a NextMQ handler: it has no workers"


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize("variable", ["NEXTMQ_URL", "NEXTMQ_APP_URL"])
def test_a_setting_that_is_missing_is_asked_for(
    printed_at_the_end: Callable[..., str], variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(variable)
    assert printed_at_the_end("register", "shop:nextmq").startswith(f"nextmq: {variable} is not set")


@pytest.mark.usefixtures("shop")
def test_a_conflict_names_the_queue_what_differs_and_the_fix(
    printed_at_the_end: Callable[..., str], server: respx.MockRouter
) -> None:
    server.put(url__regex="/worker").mock(CONFLICT)
    assert printed_at_the_end("register", "shop:nextmq") == (
        "nextmq: the server holds another registration for queue emails: url differs. If this app is the one to "
        "take over: nextmq workers replace module:handler, or ensure_workers_registered(workers, replace=True) as "
        "a deploy step"
    )


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize(
    ("failure", "message"),
    [
        (httpx.Response(401, json={"error": "unauthorized"}), "401 unauthorized"),
        (httpx.ConnectError("refused"), "refused; is the server running?"),
    ],
    ids=["401", "no server"],
)
def test_a_server_that_fails_is_one_line(
    printed_at_the_end: Callable[..., str],
    failure: httpx.Response | Exception,
    message: str,
    server: respx.MockRouter,
) -> None:
    server.put(url__regex="/worker").mock(side_effect=[failure])
    printed = printed_at_the_end("register", "shop:nextmq")
    assert printed == f"nextmq: PUT https://queue.example/v1/queues/emails/worker: {message}"


@pytest.mark.parametrize("arguments", [["register"], ["workers", "replace"], ["register", "a:b", "c:d"]])
def test_a_deploy_step_that_lacks_something_shows_the_usage(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(arguments)
    assert capsys.readouterr().err.startswith("usage: nextmq ")


def test_the_command_of_a_deploy_that_fails_ends_with_a_status_and_one_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "nextmq_handler", "register", "no_such_module:nextmq"]
    process = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert (process.returncode, process.stdout, process.stderr) == (
        2,
        "",
        "nextmq: no_such_module:nextmq cannot be loaded: No module named 'no_such_module'\n",
    )
