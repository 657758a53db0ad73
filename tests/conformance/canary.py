"""The canaries: a webhook secret and an API key that no log, answer, error, trace or repr may ever hold."""

from __future__ import annotations

import base64
import dataclasses
import logging
import threading
import time
import traceback

import pytest

from .integrations.integration import Answer
from .setups import SECRET

API_KEY = "nmq_canary7Tq3vXw9LmZ4yRk2"
"""The webhook secret's canary is the one that every test of this folder uses."""

_KEY = base64.b64decode(SECRET.removeprefix("whsec_"))
CANARIES = (
    SECRET.removeprefix("whsec_"),
    API_KEY.removeprefix("nmq_"),
    _KEY.hex(),
    repr(_KEY)[2:-1],
    str([*_KEY])[1:-1],
)
"""In every spelling that could appear."""


def connection_string(host: str) -> str:
    """One with both canaries."""
    return f"nextmq+http://{API_KEY}:{SECRET}@{host}/shop"


def leaks(*texts: object) -> list[str]:
    """Return the canaries in these texts."""
    everything = "\n".join(text if isinstance(text, str) else repr(text) for text in texts)
    return [canary for canary in CANARIES if canary in everything]


def text_of(answer: Answer) -> str:
    """All of an answer."""
    return repr(answer.headers) + answer.body.decode("latin-1")


def text_of_error(exc: BaseException) -> str:
    """Return an exception as anything may show it: text, repr, attributes, and the traceback with its causes."""
    return "\n".join([str(exc), repr(exc), repr(vars(exc)), *traceback.format_exception(exc)])


@dataclasses.dataclass
class Ear:
    """Hears everything that is logged, at every level, and what is printed."""

    caplog: pytest.LogCaptureFixture
    capfd: pytest.CaptureFixture[str]

    def heard(self) -> str:
        formatter = logging.Formatter("%(name)s %(levelname)s %(message)s %(args)s %(threadName)s")
        return "\n".join([*map(formatter.format, [*self.caplog.records]), *self.capfd.readouterr()])

    def wait_for(self, *texts: str) -> None:
        """Wait until one of the texts was logged."""
        deadline = time.monotonic() + 20
        while not any(text in self.caplog.text for text in texts):
            assert time.monotonic() < deadline, self.caplog.text
            threading.Event().wait(0.01)
