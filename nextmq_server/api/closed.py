"""The base of what requests say: apart from the routes, so that what they call can describe itself with it too."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Closed(BaseModel):
    """The base of request bodies: what is not described is refused, and nothing is converted."""

    model_config = ConfigDict(extra="forbid", strict=True)
