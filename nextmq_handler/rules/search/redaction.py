"""Hide secrets in what people see of jobs: the API for viewers, the command and the dashboard use it."""

from __future__ import annotations

import re
import typing as t

from ...protocol import strict_json
from ..views import JobView

HIDDEN = "[redacted]"
"""What stands in the place of a secret."""

NAMES = (
    *("password", "passwords", "passwd", "pwd", "secret", "secrets", "token", "authorization", "api key"),
    *("access key", "private key", "cookie", "cookies", "card", "cvv", "iban", "ssn"),
)
"""The names of members whose values are hidden, also if they are words of a longer name: `clientSecret`."""

MAX_PARSED = 64 * 1024
"""Larger values, in characters of their compact JSON, are not looked through: only their size is shown."""

MAX_WORDS = 12
"""How many words of a member's name are looked at; the rest of a longer name hides nothing."""

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_JWT = r"\beyJ[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]*"
_KEYS = r"\b(?:nmq_|whsec_)[A-Za-z0-9+/=_-]+"
_BEARER = r"(?i:\bbearer\s+)[A-Za-z0-9._~+/=-]+"
_USERINFO = r"(?<=://)[^\s/@:]{0,200}:[^\s/@]{1,200}(?=@)"
_SECRETS = re.compile("|".join((_JWT, _KEYS, _BEARER, _USERINFO)))
_CARD = re.compile(r"(?<![0-9])[2-6][0-9](?:[ -]?[0-9]){11,17}(?![0-9])", re.ASCII)


class Redaction:
    """The rules of one server: NAMES and `also`, without `never`."""

    def __init__(self, also: t.Iterable[str] = (), never: t.Iterable[str] = ()) -> None:
        hidden = {_folded(name) for name in (*NAMES, *also)}
        self._names = hidden - {_folded(name) for name in never}

    def hides(self, name: str) -> bool:
        """Return whether the value of a member of this name is hidden: case, `-` and `_` do not matter."""
        if _folded(name) in self._names:
            return True
        words = [word.lower() for word in _WORDS.findall(name[:_MAX_NAME])[:MAX_WORDS]]
        runs = ("".join(words[i:j]) for i in range(len(words)) for j in range(i + 1, len(words) + 1))
        return any(run in self._names for run in runs)

    def text(self, text: str) -> str:
        """Return `text` without keys, tokens, passwords in URLs, and card numbers."""
        return _CARD.sub(_without_card, _SECRETS.sub(HIDDEN, text))

    def value(self, value: t.Any) -> t.Any:
        """Return a JSON value without secrets. It must not be nested deeper than strict JSON is."""
        if isinstance(value, dict):
            members = t.cast("dict[str, t.Any]", value)
            return {
                self.text(name): _hidden(each) if self.hides(name) else self.value(each)
                for name, each in members.items()
            }
        if isinstance(value, list):
            return [self.value(each) for each in t.cast("list[object]", value)]
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, int) and not isinstance(value, bool) and _CARD.fullmatch(digits := str(value)):
            return self.text(digits) if _is_card(digits) else value
        return value

    def bounded(self, value: t.Any) -> t.Any:
        """Return a JSON value without secrets, or a note of its size if looking through it would take long."""
        size = len(strict_json.compact(value))
        return self.value(value) if size <= MAX_PARSED else f"[{round(size / 1024)} kB, not shown]"

    def job(self, job: JobView) -> JobView:
        """Return what the API shows of a job, without secrets."""
        return t.cast("JobView", self.parts(job))

    def parts(self, shown: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
        """Return what the API shows of a job, a result, a scheduler or a trigger, without secrets."""
        return {name: self.bounded(each) if name in _PARTS else each for name, each in shown.items()}


def _hidden(value: t.Any) -> t.Any:
    return value if value is None or isinstance(value, bool) else HIDDEN


def _folded(name: str) -> str:
    return "".join(char for char in name[:_MAX_NAME].lower() if char.isalnum())


def _without_card(found: re.Match[str]) -> str:
    return HIDDEN if _is_card(found[0]) else found[0]


def _is_card(text: str) -> bool:
    """Return whether the digits pass Luhn's check, which one in ten numbers does."""
    digits = [int(char) for char in text if char.isdigit()]
    doubled = [digit * 2 - 9 * (digit > _HALF) for digit in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


_PARTS = (
    *("name", "data", "opts", "progress", "returnValue", "failedReason", "stacktrace", "deliveries"),
    *("deduplicationId", "payload", "url", "template"),
)
_MAX_NAME = 200
_HALF = 4
