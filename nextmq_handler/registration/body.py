"""The body of the registration call, and the fingerprint that a delivery carries back (protocol section 4)."""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import time
import typing as t

from .._package import SDK
from ..rules.limits import MAX_SCHEMAS
from ..settings import LOADED_AT, Settings
from ..workers.worker import Worker, schedules_of, schemas_of

logger: logging.Logger = logging.getLogger("nextmq_handler.registration")

_warned: set[str] = set()
"""The queues whose schemas were left out, so that each is told once."""


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
        "schemas": _schemas_of(worker),
    }
    if schedules := schedules_of(worker):
        body["schedules"] = schedules
    if deploy:
        body["deploy"] = True
    return body


def _schemas_of(worker: Worker) -> dict[str, t.Any] | None:
    """Return the schemas of a worker's jobs; None if the server would refuse them as too large."""
    schemas = schemas_of(worker)
    size = len(json.dumps(schemas, separators=(",", ":")))
    if size <= MAX_SCHEMAS:
        return schemas
    if worker.name not in _warned:
        _warned.add(worker.name)
        logger.warning(
            "queue %s registers without the schemas of its jobs: they are %d bytes, over the server's limit of %d",
            worker.name,
            size,
            MAX_SCHEMAS,
        )
    return None
