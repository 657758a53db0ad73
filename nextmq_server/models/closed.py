"""The base of what requests say, and of what is kept of it: whatever is not described is refused."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Closed(BaseModel):
    """The base of request bodies: what is not described is refused, and nothing is converted."""

    model_config = ConfigDict(extra="forbid", strict=True)
