"""Log in with a name and a password, an API key, or the link that the server prints; log out."""

from __future__ import annotations

import typing as t
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from ...front import caller
from ...front.addresses import network_of
from ...service import Service
from ..render import render
from ..security import is_own_path
from ..sessions import Claim, claim_of_key
from ..users import TooManyTries
from ..visits import base_of, frame, message, open_to_all, sessions_of

MAX_FORM = 64 * 1024
"""The largest form, in bytes."""

_WRONG = {
    "once": "This link was used before, or is older than 10 minutes: log in with a password or an API key.",
    "key": "This is not an API key of this server, or it has the role app.",
    "password": "The name or the password is wrong.",
}


@open_to_all
async def start(request: Request) -> Response:
    """Go to the first project that the caller may see."""
    services: t.Sequence[Service] = request.app.state.services
    user = await sessions_of(request).find(request, services)
    if user is None:
        return RedirectResponse(f"{base_of(request)}/login", 303)
    visible = sorted(service.project.name for service in services if user.role(service.project.name))
    if not visible:
        return message(request, 404, "No project", "You may not see any of the projects: ask an admin for a role.")
    return RedirectResponse(f"{base_of(request)}/{visible[0]}/", 303)


@open_to_all
async def form(request: Request) -> Response:
    """Show the form."""
    return _form(request, request.query_params.get("next", ""))


@open_to_all
async def log_in(request: Request) -> Response:
    """Check what the form has, and go on to the page that was asked for."""
    fields = await read_form(request)
    if fields is None:
        return message(request, 413, "Too large", "A form has at most 64 kB.")
    following, name = fields.get("next", ""), fields.get("name", "")
    way = next((way for way in ("once", "key") if fields.get(way)), "password")
    try:
        claim = await _claim(request, way, fields)
    except TooManyTries as exc:
        answer = _form(request, following, problem=f"T{str(exc)[1:]}.", status=429, name=name)
        answer.headers["retry-after"] = str(exc.retry_after)
        return answer
    if claim is None:
        await caller.refuse(request.scope, "sent a wrong password to the dashboard")
        return _form(request, following, problem=_WRONG[way], status=401, name=name)
    base = base_of(request)
    answer = RedirectResponse(following if is_own_path(following, base) else f"{base}/", 303)
    await sessions_of(request).log_in(answer, claim, path=base)
    return answer


@open_to_all
async def log_out(request: Request) -> Response:
    """Forget who is logged in."""
    answer = RedirectResponse(f"{base_of(request)}/login", 303)
    sessions_of(request).log_out(answer, path=base_of(request))
    return answer


async def _claim(request: Request, way: str, fields: t.Mapping[str, str]) -> Claim | None:
    sessions = sessions_of(request)
    if way == "key":
        return claim_of_key(request.app.state.services, fields["key"])
    if way == "once":
        name = await sessions.users.take_once(fields["once"])
        return None if name is None else await sessions.claim_of_user(name)
    name, address = fields.get("name", ""), network_of(caller.address(request.scope))
    user = await sessions.users.check(name, fields.get("password", ""), address)
    return None if user is None else {"user": name, "version": user.version}


async def read_form(request: Request) -> dict[str, str] | None:
    """Return the fields of a form, the last of each name; None for one that is too large."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > MAX_FORM:
            return None
    fields = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=None)
    return {name: values[-1] for name, values in fields.items()}


def _form(
    request: Request, following: str, *, problem: str | None = None, status: int = 200, name: str = ""
) -> Response:
    shown = {"following": following, "problem": problem, "name": name}
    return render("login.html", status, **frame(request), **shown)
