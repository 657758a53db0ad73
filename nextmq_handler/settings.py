"""The connection string and the environment: NEXTMQ_URL, NEXTMQ_APP_URL and the others (section 1)."""

from __future__ import annotations

import os
import time
import typing as t
from ipaddress import ip_address
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from .errors import ConfigurationError
from .protocol.arguments import MAX_RELEASE
from .protocol.signing import Secret, parse_secret

_KEY_SHAPE = "nextmq://API_KEY@host[:port]/project"
_SHAPE = "nextmq://API_KEY:WEBHOOK_SECRET@host[:port]/project"
_SCHEMES = {"nextmq": "https", "nextmq+http": "http"}

_RELEASE_OF_PLATFORM = (
    "K_REVISION",  # Cloud Run, Knative
    "VERCEL_DEPLOYMENT_ID",
    "RAILWAY_DEPLOYMENT_ID",
    "RENDER_GIT_COMMIT",
    "AWS_LAMBDA_FUNCTION_VERSION",
)
_UNPUBLISHED = "$LATEST"  # what Lambda calls every version until one is published

LOADED_AT: float = time.monotonic()
"""When this process loaded the library, in s on its monotonic clock: its start, as registrations tell it."""


class ServerConnection:
    """The queue server of a connection string. Its repr shows no key and no secret.

    `webhook_secret` is empty if the string has none, as that of a service which only adds jobs.
    """

    def __init__(self, base_url: str, project: str, api_key: str, webhook_secret: str) -> None:
        self.base_url: str = base_url
        self.project: str = project
        self.api_key: str = api_key
        self.webhook_secret: str = webhook_secret

    @property
    def is_local(self) -> bool:
        """Whether the server is on this machine, so that nothing between here and there may see the API key."""
        return is_loopback(urlsplit(self.base_url).hostname or "")

    def __repr__(self) -> str:
        return f"<ServerConnection {self.base_url}/{self.project}>"


class Settings:
    """The settings of a handler, read from its environment and checked.

    `secrets` are the active webhook secrets, empty if none is set; `app_url` is the public base URL of the
    handler, mount path included, without a trailing slash. `release` names the version of the app that is
    deployed, empty if neither the app nor its platform names it.
    """

    def __init__(
        self,
        connection: ServerConnection | None,
        app_url: str | None,
        secrets: tuple[Secret, ...],
        release: str = "",
    ) -> None:
        self._connection = connection
        self._app_url = app_url
        self.secrets: tuple[Secret, ...] = secrets
        self.release: str = release

    @property
    def connection(self) -> ServerConnection:
        """The queue server. Raises ConfigurationError if none is set."""
        if self._connection is None:
            if (url := _url_of_a_test()) is not None:
                return parse_connection_string(url)
            raise ConfigurationError(
                f"NEXTMQ_URL is not set: copy the connection string that the server printed ({_SHAPE}), "
                "or pass url=…"
            )
        return self._connection

    @property
    def app_url(self) -> str:
        """The URL at which the server reaches this app. Raises ConfigurationError if it is not set."""
        if self._app_url is None:
            if (url := _url_of_a_test()) is not None:
                return parse_connection_string(url).base_url
            raise ConfigurationError(
                "NEXTMQ_APP_URL is not set: it is the public URL of this handler, mount path included, "
                "such as https://example.com/api/nextmq; or pass app_url=…"
            )
        return self._app_url

    def check_secrets(self) -> None:
        """Raise ConfigurationError if there is a connection string, but no secret to verify deliveries with."""
        if self._connection is not None and not self.secrets:
            raise ConfigurationError(
                "the connection string has no webhook secret, which a handler needs to verify deliveries: copy "
                f"the whole one that the server printed ({_SHAPE}), or set NEXTMQ_WEBHOOK_SECRETS"
            )

    def __repr__(self) -> str:
        return f"<Settings {self._connection!r} app_url={self._app_url!r} secrets={self.secrets!r}>"


def load_settings(
    *,
    url: str | None = None,
    app_url: str | None = None,
    webhook_secrets: str | t.Sequence[str] | None = None,
    release: str | None = None,
    environ: t.Mapping[str, str] | None = None,
) -> Settings:
    """Read the settings from the arguments, and from the environment for those that are None.

    Raises ConfigurationError for a value that cannot work, naming the variable or argument.
    """
    env = os.environ if environ is None else environ
    connection_text, url_name = _pick(url, "url", env, "NEXTMQ_URL")
    app_text, app_name = _pick(app_url, "app_url", env, "NEXTMQ_APP_URL")
    if webhook_secrets is None or isinstance(webhook_secrets, str):
        secrets_text, secrets_name = _pick(webhook_secrets, "webhook_secrets", env, "NEXTMQ_WEBHOOK_SECRETS")
        texts = secrets_text.split()
    else:
        texts, secrets_name = list(webhook_secrets), "webhook_secrets"
    connection = parse_connection_string(connection_text, source=url_name) if connection_text else None
    if not texts and connection is not None and connection.webhook_secret:
        texts, secrets_name = [connection.webhook_secret], f"the webhook secret in {url_name}"
    secrets = tuple(parse_secret(text, source=secrets_name) for text in texts)
    checked_url = _check_app_url(app_text, app_name) if app_text else None
    return Settings(connection, checked_url, secrets, _release(release, env))


def parse_connection_string(text: str, *, source: str = "NEXTMQ_URL") -> ServerConnection:
    """Split a connection string. Raises ConfigurationError, which names `source` and quotes nothing of `text`."""
    parts = _split(text, source)
    if parts.scheme not in _SCHEMES:
        raise ConfigurationError(f"{source} must look like {_SHAPE} (or nextmq+http://… on this machine)")
    api_key, secret = unquote(parts.username or ""), unquote(parts.password or "")
    if not api_key or parts.password == "":
        raise ConfigurationError(
            f"{source} lacks the API key or the webhook secret: it must look like {_SHAPE}, or, in a service that "
            f"only adds jobs, like {_KEY_SHAPE}"
        )
    if not api_key.isascii() or not api_key.isprintable() or " " in api_key:
        raise ConfigurationError(
            f"{source} has an API key with characters that no header can carry: copy the whole connection string "
            "that the server printed"
        )
    project = unquote(parts.path.strip("/"))
    if not parts.hostname or not project or "/" in project or parts.fragment:
        raise ConfigurationError(f"{source} lacks the host or the project: it must look like {_SHAPE}")
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    if set(query) - {"insecure"} or query.get("insecure", "true") != "true":
        raise ConfigurationError(f"{source} has an unknown option: the only one is insecure=true")
    scheme = _SCHEMES[parts.scheme]
    if scheme == "http" and not is_loopback(parts.hostname) and "insecure" not in query:
        raise ConfigurationError(
            f"{source} sends the API key over plain HTTP to {parts.hostname}, which is not this machine: use "
            "nextmq:// (HTTPS), or add ?insecure=true if the network itself is private"
        )
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    port = f":{parts.port}" if parts.port is not None else ""
    return ServerConnection(f"{scheme}://{host}{port}", project, api_key, secret)


def is_loopback(host: str) -> bool:
    """Tell whether `host`, a name or an address without brackets, is this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _url_of_a_test() -> str | None:
    from . import _overrides  # on a cold start in Lambda nothing else needs it

    return _overrides.url


def _pick(argument: str | None, name: str, env: t.Mapping[str, str], variable: str) -> tuple[str, str]:
    if argument is not None:
        return argument, name
    return env.get(variable, "").strip(), variable


def _release(argument: str | None, env: t.Mapping[str, str]) -> str:
    text, name = _pick(argument, "release", env, "NEXTMQ_RELEASE")
    if argument is None and not text:
        found = (env.get(variable, "").strip() for variable in _RELEASE_OF_PLATFORM)
        text = next((value for value in found if value and value != _UNPUBLISHED), "")
        name = "the release that the platform names"
    if len(text) > MAX_RELEASE or not text.isprintable():
        raise ConfigurationError(f"{name} takes at most {MAX_RELEASE} printable characters, such as a commit id")
    return text


def _split(text: str, source: str) -> SplitResult:
    try:
        parts = urlsplit(text)
        _ = parts.port  # raises ValueError if it is not a number
    except ValueError:
        # `from None`: the exception of urlsplit may quote the text, which holds the secrets.
        raise ConfigurationError(f"{source} is not a URL: its host or port cannot be read") from None
    return parts


def _check_app_url(text: str, source: str) -> str:
    parts = _split(text, source)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigurationError(f"{source} must be an http or https URL, such as https://example.com/api/nextmq")
    if "?" in text or "#" in text or parts.username is not None:
        raise ConfigurationError(f"{source} must not have user info, a query or a fragment")
    return text.rstrip("/")
