"""The version, and the names that the library and the server give themselves on the wire.

This module imports nothing, so it costs nothing on a cold start. pyproject.toml has the version too:
change both.
"""

from __future__ import annotations

__version__ = "0.1.0"

SDK = f"nextmq-python/{__version__}"
"""The `sdk` member of a registration (protocol section 4)."""

SERVER = f"nextmq-server/{__version__}"
"""The `user-agent` of every request that the server sends: deliveries, triggers, alerts."""
