"""The body of the registration call, and the fingerprint that a delivery carries back (protocol section 4)."""

from __future__ import annotations

import base64
import hashlib
import json
import time
import typing as t

from .._package import SDK
from ..settings import LOADED_AT, Settings
from ..workers.worker import Worker, schedules_of, schemas_of


def fingerprint(worker: Worker, settings: Settings) -> str:
    """Return the hash of an app's release and a worker's URL, options and schedules. Raises ConfigurationError."""
    parts = [worker_url(worker, settings), dict(worker.options), *schedules_of(worker)]
    if settings.release:
        parts.append({"release": settings.release})
    text = json.dumps(parts, sort_keys=True)
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()[:12]).decode()


def worker_url(worker: Worker, settings: Settings) -> str:
    """Return where the server delivers this worker's jobs: from the settings, never from a request."""
    return f"{settings.app_url}/queues/{worker.name}"


def registration_of(worker: Worker, settings: Settings, *, deploy: bool = False) -> dict[str, t.Any]:
    """Return the body of the registration call; `deploy` marks a deploy step. Raises ConfigurationError."""
    body: dict[str, t.Any] = {
        "url": worker_url(worker, settings),
        "options": dict(worker.options),
        "secretIds": [secret.id for secret in settings.secrets],
        "fingerprint": fingerprint(worker, settings),
        "release": settings.release,
        "age": max(0, round((time.monotonic() - LOADED_AT) * 1000)),
        "sdk": SDK,
        "schemas": schemas_of(worker),
    }
    if schedules := schedules_of(worker):
        body["schedules"] = schedules
    if deploy:
        body["deploy"] = True
    return body
