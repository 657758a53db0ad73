"""Django as before its configuration, even if another test of this process configured it."""

from __future__ import annotations

import contextlib
import typing as t

from django.conf import settings
from django.utils.functional import empty


@contextlib.contextmanager
def unconfigured_django() -> t.Iterator[None]:
    """Forget Django's settings; put them back at the end."""
    held = vars(settings)
    before = dict(held)
    held.clear()
    held["_wrapped"] = empty
    try:
        yield
    finally:
        held.clear()
        held.update(before)
