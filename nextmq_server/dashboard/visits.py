"""A visit: somebody who is logged in asks for a page of a project. `needs` is the only way to a page."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import typing as t
from urllib.parse import quote, unquote

from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response

from ..front import caller
from ..projects.roles import Role
from ..service import Service
from ..timers import now_ms
from .render import now_utc, render
from .sessions import Sessions
from .users import User

REDIS_TIMEOUT = 2.0
"""How long, in s, a page waits for Redis. Then it says that Redis does not answer."""


@dataclasses.dataclass(frozen=True)
class Visit:
    """A request for a page of one project, by somebody who may see it."""

    request: Request
    user: User
    role: Role
    service: Service
    projects: t.Sequence[str]

    @property
    def base(self) -> str:
        """The path at which the dashboard is mounted."""
        return base_of(self.request)

    @property
    def root(self) -> str:
        """The path of the project's pages."""
        return f"{self.base}/{quote(self.service.project.name, safe='')}"

    def param(self, name: str) -> str:
        """Return a name of the path."""
        return unquote(self.request.path_params[name], errors="surrogateescape")

    def page(
        self, template: str, *, section: str, now: int | None = None, status: int = 200, **shown: t.Any
    ) -> Response:
        """Return the page that a template makes of what is `shown`. `now` is the time of Redis, ms."""
        return render(
            template,
            status,
            **{
                **frame(self.request),
                "project": self.service.project.name,
                "projects": self.projects,
                "root": self.root,
                "user": self.user,
                "role": self.role,
                "section": section,
                "now": now_ms() if now is None else now,
            },
            **shown,
        )

    def missing(self, sentence: str, *, section: str = "queues") -> Response:
        """Return the page that says what is not there."""
        return self.page("message.html", section=section, status=404, title="Not found", sentence=sentence)


PageFunction = t.Callable[[Visit], t.Awaitable[Response]]


class Endpoint(t.Protocol):
    """What a route calls, with the role that it needs; None: it is open to everybody."""

    least: Role | None

    def __call__(self, request: Request, /) -> t.Awaitable[Response]: ...


def needs(least: Role, *, within: float = REDIS_TIMEOUT) -> t.Callable[[PageFunction], Endpoint]:
    """Open a page to those who have at least this role in its project. The others get no hint that it exists.

    It waits `within` s for Redis.
    """

    def wrap(page: PageFunction) -> Endpoint:
        @functools.wraps(page)
        async def endpoint(request: Request) -> Response:
            async with asyncio.timeout(within):
                visit = await _visit(request, least)
                return visit if isinstance(visit, Response) else await page(visit)

        return _declared(endpoint, least)

    return wrap


def open_to_all(page: t.Callable[[Request], t.Awaitable[Response]]) -> Endpoint:
    """Open a page to everybody."""

    @functools.wraps(page)
    async def endpoint(request: Request) -> Response:
        async with asyncio.timeout(REDIS_TIMEOUT):
            return await page(request)

    return _declared(endpoint, None)


def _declared(endpoint: t.Any, least: Role | None) -> Endpoint:
    endpoint.least = least
    return t.cast("Endpoint", endpoint)


async def _visit(request: Request, least: Role) -> Visit | Response:
    services: t.Sequence[Service] = request.app.state.services
    user = await sessions_of(request).find(request, services)
    if user is None:
        return _to_login(request)
    caller.admit(request.scope)
    name = unquote(request.path_params["project"])
    visible = {service.project.name: service for service in services if user.role(service.project.name)}
    role = user.role(name)
    if role is None or name not in visible:
        return message(request, 404, "Not found", "There is no such project, or you may not see it.")
    if not role.includes(least):
        return message(request, 403, "Not allowed", f"This needs the role {least}; yours is {role}.")
    return Visit(request, user, role, visible[name], sorted(visible))


def _to_login(request: Request) -> Response:
    wants_page = request.method in ("GET", "HEAD") and "text/html" in request.headers.get("accept", "text/html")
    if not wants_page:
        return PlainTextResponse("log in first\n", 401)
    raw = request.scope.get("raw_path") or request.url.path.encode()
    target = raw.decode("latin-1") + (f"?{request.url.query}" if request.url.query else "")
    return RedirectResponse(f"{base_of(request)}/login?next={quote(target[:MAX_NEXT], safe='')}", 303)


MAX_NEXT = 2000
"""The longest path, in characters, to which the login sends people on."""


def base_of(request: Request) -> str:
    """Return the path at which the dashboard is mounted."""
    return str(request.scope.get("root_path", "")).rstrip("/")


def sessions_of(request: Request) -> Sessions:
    """Return what knows who is logged in."""
    found: Sessions = request.app.state.sessions
    return found


def frame(request: Request) -> dict[str, t.Any]:
    """Return what every template is given."""
    return {
        "is_demo": request.app.state.is_demo,
        "base": base_of(request),
        "clock": now_utc(),
        "user": None,
        "root": base_of(request),
    }


def message(request: Request, status: int, title: str, sentence: str) -> Response:
    """Return a page outside of any project, with one sentence."""
    shown = {
        **frame(request),
        "title": title,
        "sentence": sentence,
        "section": "",
        "project": None,
        "projects": (),
    }
    return render("message.html", status, **shown)
