"""Who is logged in: a signed cookie that names a user or an API key, looked up anew with each request."""

from __future__ import annotations

import typing as t
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from ..projects.roles import Role
from ..service import Service
from .users import User, Users

SESSION_LIFE = 12 * 3600
"""How long, in s, a login lasts."""

Claim = dict[str, str]
"""What a cookie says: whose it is, and the version of the password, or the id of the API key."""


class Sessions:
    """Makes and reads the cookie. With a `public_url` of https it is only sent over TLS."""

    def __init__(self, users: Users, *, public_url: str | None = None) -> None:
        self.users = users
        self._is_secure = urlsplit(public_url or "").scheme == "https"
        self.cookie = "__Secure-nextmq" if self._is_secure else "nextmq"

    async def find(self, request: Request, services: t.Sequence[Service]) -> User | None:
        """Return who sent the request; None for nobody. Raises RedisError or ConnectionLost."""
        text = request.cookies.get(self.cookie)
        if not text:
            return None
        from itsdangerous import BadData

        try:
            claim: object = (await self._serializer()).loads(text, max_age=SESSION_LIFE)
        except BadData:
            return None
        return await self._user(t.cast("Claim", claim), services)

    async def log_in(self, response: Response, claim: Claim, *, path: str) -> None:
        """Set the cookie for the pages below `path`. Raises RedisError or ConnectionLost."""
        response.set_cookie(
            self.cookie,
            t.cast("str", (await self._serializer()).dumps(claim)),
            max_age=SESSION_LIFE,
            path=path or "/",
            secure=self._is_secure,
            httponly=True,
            samesite="lax",
        )

    def log_out(self, response: Response, *, path: str) -> None:
        """Remove the cookie."""
        response.delete_cookie(
            self.cookie, path=path or "/", secure=self._is_secure, httponly=True, samesite="lax"
        )

    async def claim_of_user(self, name: str) -> Claim | None:
        """Return what the cookie of a user says; None if there is no such user."""
        user = await self.users.get(name)
        return None if user is None else {"user": name, "version": user.version}

    async def _user(self, claim: Claim, services: t.Sequence[Service]) -> User | None:
        if "key" in claim:
            return user_of_key(services, claim.get("project", ""), claim["key"])
        name = claim.get("user", "")
        stored = await self.users.get(name)
        if stored is None or stored.version != claim.get("version"):
            return None
        return User(name, stored.roles)

    async def _serializer(self) -> t.Any:
        from itsdangerous import URLSafeTimedSerializer

        return URLSafeTimedSerializer(await self.users.session_key(), salt="nextmq dashboard session")


def claim_of_key(services: t.Sequence[Service], api_key: str) -> Claim | None:
    """Return what the cookie of an API key's holder says; None for a key that no project has, or an app's."""
    for service in services:
        key = service.project.find_key(api_key)
        if key is not None and key.role is not Role.APP:
            return {"project": service.project.name, "key": key.id}
    return None


def user_of_key(services: t.Sequence[Service], project: str, key_id: str) -> User | None:
    """Return the holder of an API key, who sees only its project; None once the key is gone."""
    for service in services:
        if service.project.name == project:
            for key in service.project.keys:
                if key.id == key_id and key.role is not Role.APP:
                    return User(key.name or f"key {key.id}", {project: key.role}, "key")
    return None
