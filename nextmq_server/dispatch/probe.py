"""Probes: whether an app's endpoint is reached with the right secret, without running a job.

A probe is a signed delivery whose body is `{}`. A handler refuses that with 400, but only after it has verified
the signature: no other answer says as much.
"""

from __future__ import annotations

import email.utils
import json
import secrets as randomness
import time
import typing as t

from nextmq_handler.protocol.clocks import wall_clock
from nextmq_handler.protocol.signing import TOLERANCE, Secret
from nextmq_handler.rules.delivery_log import MAX_EXCERPT
from nextmq_handler.rules.log_text import one_line

from .http.answers import AppAnswer, NoAnswer
from .http.client import DeliveryClient, signed_headers
from .judge import excerpt_of

PROBE_TIMEOUT = 5.0
"""How long, in s, an endpoint may take to answer a probe."""

MAX_ANSWER = 4096
"""How many bytes of the answer to a probe are read."""

_BODY = b"{}"
_THROTTLES = frozenset({429, 503})

ProbeVerdict = t.Literal["reached", "wrong_secret", "wrong_path", "refused", "unreachable", "not_a_handler"]


class Probe(t.NamedTuple):
    """What a probe of `url` found, what to do about it, and how long it took, in ms."""

    verdict: ProbeVerdict
    url: str
    status: int | None
    ms: int
    detail: str
    fix: str

    def view(self) -> dict[str, t.Any]:
        """Return the probe as the API shows it."""
        return {"reached": self.verdict == "reached", **self._asdict()}


class _Conclusion(t.NamedTuple):
    verdict: ProbeVerdict
    detail: str
    fix: str = ""


async def probe(
    client: DeliveryClient, secrets: t.Sequence[Secret], url: str, *, clock: t.Callable[[], float] = wall_clock
) -> Probe:
    """Send a probe to `url`, signed under `secrets`. `clock` returns Unix s."""
    id, now, began = f"dlv_probe{randomness.token_hex(8)}", clock(), time.monotonic()
    headers = signed_headers(secrets, id, int(now), _BODY)
    answer = await client.send(url, headers, _BODY, timeout=PROBE_TIMEOUT, max_size=MAX_ANSWER)
    ms = round((time.monotonic() - began) * 1000)
    verdict, detail, fix = conclude(answer, now)
    return Probe(verdict, url, answer.status, ms, one_line(detail, MAX_EXCERPT), fix)


def conclude(answer: AppAnswer | NoAnswer, now: float) -> _Conclusion:
    """Return what the answer to a probe means. `now` is the Unix time in s at which it was sent."""
    if isinstance(answer, NoAnswer):
        return _of_no_answer(answer)
    status, by_handler = answer.status, _is_of_handler(answer)
    told = f"the handler answered {status}" if by_handler else f"something answered {status}{_quoted(answer)}"
    match status:
        case 400 if by_handler:
            return _Conclusion("reached", "the handler verified the signature")
        case 401 if by_handler:
            return _unauthorized(answer, now)
        case 404 | 405:
            return _Conclusion("wrong_path", told, _FIX_OF_PATH)
        case 401 | 403 | 407:
            return _Conclusion(
                "refused", told, "let requests of the queue server pass what answers before the handler"
            )
        case _ if by_handler:
            return _Conclusion("refused", told, "find out what changes requests on their way to the handler")
        case _ if 300 <= status < 400:
            fix = "give NEXTMQ_APP_URL the URL that it leads to: the server follows no redirects"
            return _Conclusion("not_a_handler", told, fix)
        case _ if status in _THROTTLES:
            return _Conclusion("refused", told, "wait until the platform takes requests again, or raise its limit")
        case _ if status >= 500 or status == 410:
            return _Conclusion("refused", told, "look into the log of the app and of the proxy before it")
        case _:
            return _Conclusion("not_a_handler", told, _FIX_OF_PATH)


_FIX_OF_PATH = "give NEXTMQ_APP_URL the URL at which the app mounts the handler, with its path, and register again"


def _of_no_answer(answer: NoAnswer) -> _Conclusion:
    match answer.kind:
        case "not_sent":
            fix = "start the app; or correct NEXTMQ_APP_URL, or what keeps the server from connecting to it"
            return _Conclusion("unreachable", answer.detail, fix)
        case "unsendable":
            return _Conclusion(
                "unreachable", answer.detail, "give the server process more file descriptors or ports"
            )
        case "timeout":
            fix = "find out what keeps the app from answering: is its only worker busy or its event loop blocked?"
            return _Conclusion("unreachable", answer.detail, fix)
        case "broken":
            fix = "correct NEXTMQ_APP_URL: its port and its scheme, http or https, must be those of the app"
            return _Conclusion("not_a_handler", answer.detail, fix)
        case _:
            t.assert_never(answer.kind)


def _unauthorized(answer: AppAnswer, now: float) -> _Conclusion:
    """Tell a wrong secret from a wrong clock: a handler answers the same, but the answer has a date."""
    dates = answer.headers.all(b"date")
    told = _unix_time(dates[0].decode("latin-1")) if dates else None
    if told is not None and abs(told - now) > TOLERANCE:
        ahead = "ahead of" if told > now else "behind"
        detail = f"the handler answered 401: the app's clock is {abs(round(told - now))} s {ahead} the server's"
        return _Conclusion("wrong_secret", detail, "set both clocks, with NTP")
    fix = "give the app the connection string or the webhook secrets of this project: nextmq projects show"
    return _Conclusion("wrong_secret", "the handler answered 401: it has another webhook secret", fix)


def _unix_time(text: str) -> float | None:
    try:
        return email.utils.parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError):
        return None


def _is_of_handler(answer: AppAnswer) -> bool:
    """Return whether the answer is a refusal as the protocol has it: `{"error": "…"}`."""
    try:
        body: object = json.loads(answer.body)
    except (ValueError, RecursionError):
        return False
    return isinstance(body, dict) and body.keys() == {"error"} and isinstance(body["error"], str)


def _quoted(answer: AppAnswer) -> str:
    excerpt = excerpt_of(answer)
    return f": {one_line(excerpt, MAX_EXCERPT)}" if excerpt else ""
