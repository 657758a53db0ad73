"""Settings: the connection string, the app's URL, and where each comes from."""

import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextmq_handler import ConfigurationError, Worker, create_nextmq_wsgi_handler
from nextmq_handler.protocol.signing import parse_secret
from nextmq_handler.settings import ServerConnection, Settings, load_settings, parse_connection_string
from tests.support.handler import API_KEY, APP_URL, OTHER_SECRET, SECRET, URL

PLAIN = "a-plain-secret-of-at-least-24-bytes"


def parts(connection: ServerConnection) -> tuple[str, str, str, str]:
    return connection.base_url, connection.project, connection.api_key, connection.webhook_secret


def load(**environ: str) -> Settings:
    return load_settings(environ=environ)


@pytest.mark.parametrize(
    ("text", "base_url"),
    [
        ("nextmq://k:s@queue.example/p", "https://queue.example"),
        ("nextmq://k:s@queue.example:8443/p", "https://queue.example:8443"),
        ("nextmq://k:s@queue.example/p/", "https://queue.example"),
        ("nextmq://k:s@QUEUE.example/p", "https://queue.example"),
        ("NEXTMQ://k:s@queue.example/p", "https://queue.example"),
        ("nextmq://k:s@localhost/p", "https://localhost"),
        ("nextmq://k:s@[2001:db8::1]/p", "https://[2001:db8::1]"),
        ("nextmq://k:s@[2001:db8::1]:8443/p", "https://[2001:db8::1]:8443"),
        ("nextmq://k:s@queue.example/p?insecure=true", "https://queue.example"),
        ("nextmq+http://k:s@localhost:6390/p", "http://localhost:6390"),
        ("nextmq+http://k:s@127.0.0.1:6390/p", "http://127.0.0.1:6390"),
        ("nextmq+http://k:s@127.1.2.3/p", "http://127.1.2.3"),
        ("nextmq+http://k:s@[::1]:6390/p", "http://[::1]:6390"),
        ("nextmq+http://k:s@queue.example/p?insecure=true", "http://queue.example"),
        ("nextmq+http://k:s@10.0.0.1:6390/p?insecure=true", "http://10.0.0.1:6390"),
    ],
)
def test_a_connection_string_names_the_server(text: str, base_url: str) -> None:
    assert parts(parse_connection_string(text)) == (base_url, "p", "k", "s")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("nextmq://k%2F1:s%40%3A%2F%3F%23@h/p", ("https://h", "p", "k/1", "s@:/?#")),
        ("nextmq://k:s%25%2B%3D@h/p", ("https://h", "p", "k", "s%+=")),
        ("nextmq://k:s+s@h/p", ("https://h", "p", "k", "s+s")),
        ("nextmq://k:s%C3%A4@h/p", ("https://h", "p", "k", "sä")),
        ("nextmq://k:s@s@h/p", ("https://h", "p", "k", "s@s")),
        ("nextmq://k:s:s@h/p", ("https://h", "p", "k", "s:s")),
        ("nextmq://k:s@h/my%20shop", ("https://h", "my shop", "k", "s")),
    ],
)
def test_the_parts_of_a_connection_string_are_percent_decoded(text: str, expected: tuple[str, ...]) -> None:
    assert parts(parse_connection_string(text)) == expected


BAD = [
    ("CANARY", "must look like nextmq://"),
    ("https://k:CANARY@h/p", "must look like nextmq://"),
    ("redis://k:CANARY@h/p", "must look like nextmq://"),
    ("k:CANARY@h/p", "must look like nextmq://"),
    ("nextmq://h/p", "lacks the API key or the webhook secret"),
    ("nextmq://CANARY:@h/p", "lacks the API key or the webhook secret"),
    ("nextmq://:CANARY@h/p", "lacks the API key or the webhook secret"),
    ("nextmq:k:CANARY@h/p", "lacks the API key or the webhook secret"),
    ("nextmq://k:CANARY@h", "lacks the host or the project"),
    ("nextmq://k:CANARY@h/", "lacks the host or the project"),
    ("nextmq://k:CANARY@/p", "lacks the host or the project"),
    ("nextmq://k:CANARY@:8443/p", "lacks the host or the project"),
    ("nextmq://k:CANARY@h/p/q", "lacks the host or the project"),
    ("nextmq://k:CANARY@h/p%2Fq", "lacks the host or the project"),
    ("nextmq://k:CANARY@h/p#f", "lacks the host or the project"),
    ("nextmq://k:CANARY@h:port/p", "is not a URL"),
    ("nextmq://k:CANARY@h:99999/p", "is not a URL"),
    ("nextmq://k:CANARY@[::1/p", "is not a URL"),
    ("nextmq://k:CANARY/with/slash@h/p", "is not a URL"),
    ("nextmq://k:CANARY?@h/p", "is not a URL"),
    ("nextmq://k:CANARY#@h/p", "is not a URL"),
    ("nextmq://k:[CANARY@h/p", "is not a URL"),
    ("nextmq://k:CANARY@h/p?tls=false", "has an unknown option"),
    ("nextmq://k:CANARY@h/p?insecure=false", "has an unknown option"),
    ("nextmq://k:CANARY@h/p?insecure", "has an unknown option"),
    ("nextmq://k:CANARY@h/p?insecure=true&a=CANARY", "has an unknown option"),
    ("nextmq+http://k:CANARY@queue.example/p", "over plain HTTP to queue.example, which is not this machine"),
    ("nextmq+http://k:CANARY@10.0.0.1/p", "over plain HTTP"),
    ("nextmq+http://k:CANARY@127.0.0.1.example/p", "over plain HTTP"),
    ("nextmq+http://k:CANARY@127.example/p", "over plain HTTP"),
    ("nextmq+http://k:CANARY@localhost.example/p", "over plain HTTP"),
    ("nextmq+http://k:CANARY@[2001:db8::1]/p", "over plain HTTP"),
    ("nextmq://k%0ACANARY:s@h/p", "characters that no header can carry"),
    ("nextmq://k%20CANARY:s@h/p", "characters that no header can carry"),
    ("nextmq://k%C3%A4CANARY:s@h/p", "characters that no header can carry"),
]


@pytest.mark.parametrize(("text", "reason"), BAD)
def test_a_connection_string_that_cannot_work_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        parse_connection_string(text)


@pytest.mark.parametrize(("text", "reason"), BAD)
def test_the_error_names_the_variable(text: str, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=r"\ANEXTMQ_URL "):
        load(NEXTMQ_URL=text)


@pytest.mark.parametrize(("text", "reason"), BAD)
def test_the_error_names_the_argument(text: str, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=r"\Aurl "):
        load_settings(url=text, environ={})


@pytest.mark.parametrize(("text", "reason"), [bad for bad in BAD if "CANARY" in bad[0]])
def test_the_error_holds_nothing_of_the_secrets(text: str, reason: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(NEXTMQ_URL=text)
    assert "CANARY" not in "".join(traceback.format_exception(caught.value))


def test_a_secret_that_cannot_work_is_said_to_be_in_the_variable() -> None:
    with pytest.raises(ConfigurationError, match=r"\Athe webhook secret in NEXTMQ_URL is too short"):
        load(NEXTMQ_URL="nextmq://k:short@h/p")


def test_a_secret_that_cannot_work_is_said_to_be_in_the_argument() -> None:
    with pytest.raises(ConfigurationError, match=r"\Athe webhook secret in url is too short"):
        load_settings(url="nextmq://k:short@h/p", environ={})


around = st.text(alphabet="ab1:/@?#[]%+=&. \n\t\\ä\u2100", max_size=12)


@given(
    scheme=st.sampled_from(["nextmq://", "nextmq+http://", "http://", ""]),
    junk=st.tuples(around, around, around, around),
)
def test_nothing_said_or_shown_of_any_connection_string_holds_its_key_or_secret(
    scheme: str, junk: tuple[str, str, str, str]
) -> None:
    key, secret = "KEYCANARY" + junk[0], junk[1] + "SECRETCANARY" + "x" * 24 + junk[2]
    text = f"{scheme}{key}:{secret}@h{junk[3]}/p"
    try:
        shown = repr(load_settings(url=text, environ={}))
    except ConfigurationError as exc:
        shown = "".join(traceback.format_exception(exc))
    assert "canary" not in shown.lower()


def test_the_repr_of_settings_shows_the_server_and_no_secret() -> None:
    settings = load(NEXTMQ_URL=URL, NEXTMQ_APP_URL=APP_URL)
    server, secret = "<ServerConnection https://queue.example/shop>", f"<Secret {parse_secret(SECRET).id}>"
    assert repr(settings) == f"<Settings {server} app_url='{APP_URL}' secrets=({secret},)>"


@pytest.mark.parametrize(
    ("text", "app_url"),
    [
        ("https://app.example", "https://app.example"),
        ("https://app.example/", "https://app.example"),
        ("https://app.example/api/nextmq", "https://app.example/api/nextmq"),
        ("https://app.example/api/nextmq/", "https://app.example/api/nextmq"),
        ("http://localhost:8000", "http://localhost:8000"),
        ("http://[::1]:8000/x", "http://[::1]:8000/x"),
        ("  https://app.example\n", "https://app.example"),
    ],
)
def test_an_app_url_is_taken_without_its_last_slash(text: str, app_url: str) -> None:
    assert load(NEXTMQ_APP_URL=text).app_url == app_url


BAD_APP_URLS = [
    ("app.example", "must be an http or https URL"),
    ("/api/nextmq", "must be an http or https URL"),
    ("ftp://app.example", "must be an http or https URL"),
    ("https://", "must be an http or https URL"),
    ("https:///api", "must be an http or https URL"),
    ("https://app.example:port", "is not a URL"),
    ("https://[::1", "is not a URL"),
    ("https://user@app.example", "must not have user info, a query or a fragment"),
    ("https://user:CANARY@app.example", "must not have user info, a query or a fragment"),
    ("https://app.example/?a=1", "must not have user info, a query or a fragment"),
    ("https://app.example/?", "must not have user info, a query or a fragment"),
    ("https://app.example/#a", "must not have user info, a query or a fragment"),
    ("https://app.example/#", "must not have user info, a query or a fragment"),
]


@pytest.mark.parametrize(("text", "reason"), BAD_APP_URLS)
def test_an_app_url_that_cannot_work_is_refused_with_the_variable_and_the_reason(text: str, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"\ANEXTMQ_APP_URL {reason}"):
        load(NEXTMQ_APP_URL=text)


@pytest.mark.parametrize(("text", "reason"), BAD_APP_URLS)
def test_an_app_url_that_cannot_work_is_refused_with_the_argument(text: str, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"\Aapp_url {reason}"):
        load_settings(app_url=text, environ={})


SECRETS = (parse_secret(SECRET),)
OTHERS = (parse_secret(OTHER_SECRET),)
PLAINS = (parse_secret(PLAIN),)


@pytest.mark.parametrize(
    ("environ", "secrets"),
    [
        ({}, ()),
        ({"NEXTMQ_URL": URL}, SECRETS),
        ({"NEXTMQ_WEBHOOK_SECRETS": OTHER_SECRET}, OTHERS),
        ({"NEXTMQ_URL": URL, "NEXTMQ_WEBHOOK_SECRETS": OTHER_SECRET}, OTHERS),
        ({"NEXTMQ_URL": URL, "NEXTMQ_WEBHOOK_SECRETS": f" {OTHER_SECRET}  {PLAIN}\n"}, OTHERS + PLAINS),
        ({"NEXTMQ_URL": URL, "NEXTMQ_WEBHOOK_SECRETS": "  "}, SECRETS),
        ({"NEXTMQ_URL": "nextmq://k:short@h/p", "NEXTMQ_WEBHOOK_SECRETS": OTHER_SECRET}, OTHERS),
    ],
    ids=["none", "url", "variable", "both", "rotation", "blank variable", "a short one overridden"],
)
def test_the_secrets_of_the_environment(environ: dict[str, str], secrets: tuple[object, ...]) -> None:
    assert load(**environ).secrets == secrets


@pytest.mark.parametrize(
    "argument", [OTHER_SECRET, f"{OTHER_SECRET} {PLAIN}", [OTHER_SECRET], [OTHER_SECRET, PLAIN]]
)
def test_secrets_given_as_an_argument_beat_the_environment(argument: str | list[str]) -> None:
    settings = load_settings(
        webhook_secrets=argument, environ={"NEXTMQ_WEBHOOK_SECRETS": SECRET, "NEXTMQ_URL": URL}
    )
    assert settings.secrets == (OTHERS + PLAINS)[: len(settings.secrets)]


def test_a_url_given_as_an_argument_beats_the_environment() -> None:
    settings = load_settings(url="nextmq://k:" + PLAIN + "@other/p", environ={"NEXTMQ_URL": URL})
    assert settings.connection.base_url == "https://other"


def test_an_app_url_given_as_an_argument_beats_the_environment() -> None:
    settings = load_settings(app_url="https://other", environ={"NEXTMQ_APP_URL": APP_URL})
    assert settings.app_url == "https://other"


def test_the_variables_of_the_process_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEXTMQ_URL", URL)
    assert load_settings().connection.api_key == API_KEY


@pytest.mark.parametrize("value", [None, "", "  "])
def test_a_url_that_is_not_set_is_asked_for_by_name(value: str | None) -> None:
    settings = load_settings(environ={} if value is None else {"NEXTMQ_URL": value})
    with pytest.raises(
        ConfigurationError, match=r"\ANEXTMQ_URL is not set: .*nextmq://API_KEY:WEBHOOK_SECRET@host"
    ):
        _ = settings.connection


@pytest.mark.parametrize("value", [None, "", "  "])
def test_an_app_url_that_is_not_set_is_asked_for_by_name(value: str | None) -> None:
    settings = load_settings(environ={} if value is None else {"NEXTMQ_APP_URL": value})
    with pytest.raises(ConfigurationError, match=r"\ANEXTMQ_APP_URL is not set: .*https://example.com/api/nextmq"):
        _ = settings.app_url


KEY_ONLY = ("nextmq://CANARY@h/p", "nextmq+http://CANARY@127.0.0.1:8080/p", "nextmq://CAN%2FARY@h:1/p")


@pytest.mark.parametrize("url", KEY_ONLY)
def test_a_producers_connection_string_needs_no_webhook_secret(url: str) -> None:
    settings = load_settings(url=url, environ={})
    assert (settings.connection.api_key[:3], settings.connection.webhook_secret, settings.secrets) == (
        "CAN",
        "",
        (),
    )


@pytest.mark.parametrize("url", KEY_ONLY)
def test_a_handler_without_a_webhook_secret_says_what_is_missing(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"\Athe connection string has no webhook secret") as raised:
        create_nextmq_wsgi_handler([Worker("emails", lambda job: None)], url=url)
    assert "CANARY" not in str(raised.value)


@pytest.mark.parametrize("url", KEY_ONLY)
def test_a_handler_takes_its_secrets_from_their_own_variable(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEXTMQ_WEBHOOK_SECRETS", PLAIN)
    handler = create_nextmq_wsgi_handler([Worker("emails", lambda job: None)], url=url)
    assert len(handler.settings.secrets) == 1
