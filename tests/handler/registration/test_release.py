"""The release that a registration names, and the fingerprint that depends on it."""

import json
import typing as t

import httpx
import pytest
import respx

from nextmq_handler import (
    ConfigurationError,
    Every,
    Worker,
    WorkerRegistrationError,
    aensure_workers_registered,
    ensure_workers_registered,
)
from nextmq_handler.__main__ import main
from nextmq_handler.protocol.arguments import MAX_RELEASE
from nextmq_handler.registration import fingerprint, registration_of
from nextmq_handler.settings import load_settings
from tests.support.handler import APP_URL, URL
from tests.support.registering import EMAILS, OK, PATH

PLATFORMS = [
    "K_REVISION",
    "VERCEL_DEPLOYMENT_ID",
    "RAILWAY_DEPLOYMENT_ID",
    "RENDER_GIT_COMMIT",
    "AWS_LAMBDA_FUNCTION_VERSION",
]
ALL = dict.fromkeys(PLATFORMS, "the platform's")

RELEASES: dict[str, tuple[str | None, dict[str, str], str]] = {
    "none": (None, {}, ""),
    "an argument": ("r1", {}, "r1"),
    "an argument before all": ("r1", {"NEXTMQ_RELEASE": "r2", **ALL}, "r1"),
    "the variable": (None, {"NEXTMQ_RELEASE": "r2"}, "r2"),
    "the variable before a platform": (None, {"NEXTMQ_RELEASE": "r2", **ALL}, "r2"),
    "spaces around it": (None, {"NEXTMQ_RELEASE": " r2\n"}, "r2"),
    "an empty variable": (None, {"NEXTMQ_RELEASE": "", **ALL}, "the platform's"),
    "an empty argument": ("", {"NEXTMQ_RELEASE": "r2", **ALL}, ""),
    "what Lambda calls unpublished": (None, {"AWS_LAMBDA_FUNCTION_VERSION": "$LATEST"}, ""),
    "a version of Lambda": (None, {"AWS_LAMBDA_FUNCTION_VERSION": "42"}, "42"),
    "the longest": (None, {"NEXTMQ_RELEASE": "x" * MAX_RELEASE}, "x" * MAX_RELEASE),
    "words of any language": (None, {"NEXTMQ_RELEASE": "v1 – été"}, "v1 – été"),
    **{name: (None, {name: "r3"}, "r3") for name in PLATFORMS},
    **{f"{name} empty": (None, {name: " "}, "") for name in PLATFORMS},
}


@pytest.mark.parametrize(("argument", "environ", "release"), RELEASES.values(), ids=RELEASES)
def test_the_release_is_the_argument_or_the_variable_or_the_platforms(
    argument: str | None, environ: dict[str, str], release: str
) -> None:
    assert load_settings(release=argument, environ=environ).release == release


@pytest.mark.parametrize("text", ["x" * (MAX_RELEASE + 1), "a\nb", "\x1b[31m", "a\udc80", "a\tb"])
def test_a_release_that_cannot_be_shown_is_refused_by_name(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"\ANEXTMQ_RELEASE takes at most 200 printable characters"):
        load_settings(environ={"NEXTMQ_RELEASE": text})


def test_each_release_is_another_version_even_with_the_same_options() -> None:
    releases = ["", "r1", "r2", "R1"]
    settings = [load_settings(url=URL, app_url=APP_URL, release=each, environ={}) for each in releases]
    assert len({fingerprint(EMAILS, each) for each in settings}) == len(releases)


def test_a_release_is_not_taken_for_a_schedule() -> None:
    named = load_settings(url=URL, app_url=APP_URL, release="hourly", environ={})
    unnamed = load_settings(url=URL, app_url=APP_URL, environ={})
    hourly = Worker("emails", lambda job: None, schedules=[Every("hourly", 3_600_000)])
    assert fingerprint(EMAILS, named) != fingerprint(hourly, unnamed)


def test_only_a_deploy_step_claims_the_queue() -> None:
    settings = load_settings(url=URL, app_url=APP_URL, environ={})
    assert "deploy" not in registration_of(EMAILS, settings)
    assert registration_of(EMAILS, settings, deploy=True)["deploy"] is True


@pytest.mark.anyio
@pytest.mark.parametrize("options", [{}, {"deploy": True}, {"release": "r9"}, {"release": "r9", "deploy": True}])
async def test_registering_from_code_sends_the_release_and_the_claim(
    options: dict[str, t.Any], server: respx.MockRouter
) -> None:
    route = server.put(PATH).mock(OK)
    ensure_workers_registered([EMAILS], url=URL, app_url=APP_URL, **options)
    await aensure_workers_registered([EMAILS], url=URL, app_url=APP_URL, **options)
    for call in route.calls:
        sent = json.loads(call.request.content)
        assert {"release": sent["release"], "deploy": sent.get("deploy", False)} == {
            "release": "",
            "deploy": False,
            **options,
        }


@pytest.mark.parametrize("option", [[], ["--release", "r9"]])
def test_the_command_register_is_a_deploy_step(
    option: list[str], server: respx.MockRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEXTMQ_URL", URL)
    monkeypatch.setenv("NEXTMQ_APP_URL", APP_URL)
    monkeypatch.setenv("NEXTMQ_RELEASE", "r1")
    route = server.put(PATH).mock(OK)
    main(["register", *option, "tests.support.registering:EMAILS"])
    sent = json.loads(route.calls.last.request.content)
    assert (sent["deploy"], sent["release"]) == (True, option[1] if option else "r1")


def test_a_replacement_that_a_newer_version_forestalls_is_an_error(server: respx.MockRouter) -> None:
    server.get(PATH).respond(200, json={"fingerprint": "f1"})
    server.put(PATH).respond(200, json={"current": False})
    with pytest.raises(WorkerRegistrationError, match="changed meanwhile"):
        ensure_workers_registered([EMAILS], url=URL, app_url=APP_URL, replace=True)


def test_a_conflict_says_what_differs_as_the_server_says_it(server: respx.MockRouter) -> None:
    details = {"fields": ["url"], "differences": ["url https://a → https://b", "concurrency 4 → 8"]}
    server.put(PATH).mock(httpx.Response(409, json={"error": "worker_conflict", "details": details}))
    with pytest.raises(WorkerRegistrationError, match="url https://a → https://b; concurrency 4 → 8") as caught:
        ensure_workers_registered([EMAILS], url=URL, app_url=APP_URL)
    assert caught.value.fields == ("url",)
