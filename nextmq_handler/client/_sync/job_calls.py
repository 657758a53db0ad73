# Generated from _async by scripts/generate_sync.py: change that, then run `make format`.
"""What a running processor asks of the server: calls that carry its delivery id (protocol section 5)."""

from __future__ import annotations

import typing as t

from ...errors import StaleDeliveryError

if t.TYPE_CHECKING:
    from ...settings import Settings


class JobCalls:
    """The calls of a job to the server. Each raises StaleDeliveryError once the delivery lost its job."""

    id: str
    queue_name: str
    delivery_id: str
    progress: t.Any
    _settings: Settings
    _abandoned: bool

    def update_progress(self, progress: t.Any) -> None:
        """Store `progress`, any JSON, where producers and pages see it.

        Raises StaleDeliveryError, NextMQHTTPError or NextMQConnectionError.
        """
        self._put("progress", progress)
        self.progress = progress

    def _put(self, member: str, value: t.Any) -> None:
        if self._abandoned:
            raise StaleDeliveryError(
                f"job {self.id} of queue {self.queue_name}: this delivery was answered already"
            )
        from .transport import Transport

        transport = Transport(self._settings.connection)
        transport.request(
            "PUT",
            ("v1", "queues", self.queue_name, "jobs", self.id, member),
            content={member: value},
            delivery_id=self.delivery_id,
        )
