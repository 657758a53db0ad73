# Generated from _async by scripts/generate_sync.py: change that, then run `make format`.
"""One call to the server's REST API: authentication, attempts, deadline, errors."""

from __future__ import annotations

import typing as t

from ... import _overrides
from ...settings import Connection
from .._http.answer import Answer, R
from .._http.call import DEFAULT_TIMEOUT, Call, Options
from .._http.pools import http_client
from .._http.retry import failures


class Transport:
    """Calls to the server of `connection`; `timeout` is s for each call with its attempts, or for its only one."""

    def __init__(self, connection: Connection, *, timeout: float = DEFAULT_TIMEOUT, retries: bool = True) -> None:
        self._connection = connection
        self._timeout = timeout
        self._retries = retries

    def request(
        self, method: str, path: t.Sequence[str], reader: t.Callable[[t.Any], R], **options: t.Unpack[Options]
    ) -> R:
        """What `reader` makes of the answer. `path` is its segments, not escaped; `Options` has the rest.

        A call that may be done twice is tried again while there is time, any other only where it provably did not
        reach the server.

        Raises ConfigurationError for what cannot be sent, NextMQHTTPError, StaleDeliveryError, NextMQTimeoutError
        or NextMQConnectionError.
        """
        timeout = self._timeout + options.get("wait", 0.0)
        call = Call(self._connection, method, path, timeout=timeout, retries=self._retries, **options)
        while True:
            try:
                answer = _attempt(call)
            except failures() as exc:
                _overrides.sleep(call.pause_after_failure(exc))
                continue
            pause = call.pause_after(answer)
            if pause is None:
                return call.result(answer, reader)
            _overrides.sleep(pause)


def _attempt(call: Call) -> Answer:
    timeout = call.begin_attempt()
    if (local := _overrides.server) is not None:
        status, content = local.answer(call.method, call.url, call.headers, call.body)
        return call.answer(status, {}, content)
    chunks: list[bytes] = []
    with http_client().stream(
        call.method, call.url, content=call.body, headers=call.headers, timeout=timeout, follow_redirects=False
    ) as response:
        for chunk in response.iter_bytes():
            chunks.append(chunk)
            call.check_time()
    return call.answer(response.status_code, response.headers, b"".join(chunks))
