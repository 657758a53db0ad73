"""Which version of the app this is: a delivery for another one is answered with its fingerprint (section 4)."""

from __future__ import annotations

import typing as t

from ..errors import ConfigurationError
from ..settings import Settings
from .attempt import Attempt


class Fingerprints:
    """The fingerprints under the current `settings`. Each is computed once."""

    def __init__(self, settings: t.Callable[[], Settings]) -> None:
        self._settings = settings
        self._known: dict[str, str] = {}

    def of_another(self, attempt: Attempt) -> str:
        """Return the fingerprint of this app's version if the delivery was for another one, else nothing.

        Without NEXTMQ_APP_URL there is nothing to register, and no fingerprint.
        """
        name = attempt.worker.name
        if name not in self._known:
            from ..registration.body import fingerprint  # on a cold start only the first delivery needs it

            try:
                self._known[name] = fingerprint(attempt.worker, self._settings())
            except ConfigurationError:
                return ""
        return "" if attempt.delivery.fingerprint == self._known[name] else self._known[name]
