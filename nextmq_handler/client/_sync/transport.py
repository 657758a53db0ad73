# Generated from _async by scripts/generate_sync.py: change that, then run `make format`.
"""One call to the server's REST API: authentication, deadline, errors."""

from __future__ import annotations

import typing as t

import httpx

from ...errors import NextMQConnectionError, NextMQTimeoutError
from ...settings import Connection
from .._http import http_client, content_of, is_not_found, url_of

DEFAULT_TIMEOUT = 10.0


class Transport:
    """Calls to the server of `connection`; `timeout` is s for each call."""

    def __init__(self, connection: Connection, *, timeout: float = DEFAULT_TIMEOUT) -> None:
        self._connection = connection
        self._timeout = timeout

    def request(
        self,
        method: str,
        path: t.Sequence[str],
        *,
        content: t.Any = None,
        query: t.Mapping[str, str] | None = None,
        delivery_id: str | None = None,
        missing_ok: bool = False,
    ) -> t.Any:
        """The decoded answer. `path` is its segments, not escaped; `delivery_id` as protocol section 5 says.

        With `missing_ok` the answer 404 `not_found` is None.

        Raises NextMQHTTPError, StaleDeliveryError, NextMQTimeoutError or NextMQConnectionError.
        """
        url = url_of(self._connection.base_url, path)
        headers = {"authorization": f"Bearer {self._connection.api_key}"}
        if delivery_id is not None:
            headers["x-nextmq-delivery"] = delivery_id
        try:
            client = http_client()
            response = client.request(
                method,
                url,
                params=query,
                json=content,
                headers=headers,
                timeout=self._timeout,
                follow_redirects=False,
            )
        except httpx.TimeoutException as exc:
            raise NextMQTimeoutError(
                f"{method} {url}: no answer within {self._timeout} s ({type(exc).__name__})"
            ) from exc
        except (httpx.HTTPError, httpx.InvalidURL) as exc:
            raise NextMQConnectionError(
                f"{method} {url}: {str(exc) or type(exc).__name__}; is the server running?"
            ) from exc
        if missing_ok and is_not_found(response):
            return None
        return content_of(response)
