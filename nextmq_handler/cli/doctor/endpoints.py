"""The rung of the endpoints: the server reaches each app, and the platform in front waits long enough."""

from __future__ import annotations

import typing as t
from urllib.parse import urlsplit

from .findings import Asking, Findings, good, unknown, wrong

MAX_PROBES = 10
"""How many endpoints the doctor has the server try. More would take minutes if none answers."""

MAX_REQUEST_TIMES: t.Mapping[str, tuple[str, int]] = {
    "execute-api": ("API Gateway", 30),
    ".herokuapp.com": ("Heroku's router", 30),
    ".azurewebsites.net": ("Azure's load balancer", 230),
    ".lambda-url.": ("Lambda", 900),
    ".run.app": ("Cloud Run", 3600),
}
"""How long, in s, platforms let a request run at most, by a part of their hosts."""

_FIXES = {
    "wrong_secret": "give app and server the same secret (NEXTMQ_URL), and synchronise their clocks",
    "wrong_path": "mount the handler at the path of NEXTMQ_APP_URL, or correct NEXTMQ_APP_URL",
    "refused": "see the app's log, and what is in front of the app (a login, a firewall)",
    "unreachable": "start the app; NEXTMQ_APP_URL has to be reachable from the server, not only from here",
    "not_a_handler": "NEXTMQ_APP_URL has to lead to the handler, not to another app or a page in front of it",
}


def look_at_endpoints(asking: Asking, held: t.Mapping[str, dict[str, t.Any]]) -> Findings[None]:
    """Look at each endpoint of these registrations once: workers of one handler share it."""
    for queue, registration in held.items():
        yield from _look_at_time(queue, registration)
    queues: dict[str, str] = {}
    for queue, registration in held.items():
        queues.setdefault(registration["url"].removesuffix(f"/queues/{queue}"), queue)
    for url, queue in list(queues.items())[:MAX_PROBES]:
        found = asking.find("POST", "queues", queue, "worker", "probe")
        if found is None:
            yield unknown("endpoint", "the server is older than this command and does not try endpoints")
            return
        verdict = str(found["verdict"])
        if verdict == "reached":
            yield good("endpoint", f"the server reaches {url} ({found['ms']:.0f} ms), with the right secret")
        else:
            fix = found.get("fix") or _FIXES.get(verdict, "")
            yield wrong("endpoint", f"the server does not reach {url}: {found['detail']} ({verdict})", fix)
    if len(queues) > MAX_PROBES:
        yield unknown("endpoint", f"{len(queues) - MAX_PROBES} more endpoints were not tried: name a handler")


def _look_at_time(queue: str, registration: dict[str, t.Any]) -> Findings[None]:
    timeout = registration["options"]["timeout"] / 1000
    host = urlsplit(str(registration["url"])).hostname or ""
    for part, (platform, longest) in MAX_REQUEST_TIMES.items():
        if part in host and timeout > longest:
            yield wrong(
                "endpoint",
                f"{queue}: its timeout is {timeout:g} s, and {platform} ends requests after {longest} s",
                f"give the worker a timeout below {longest} s, or deliver past {platform}",
            )
