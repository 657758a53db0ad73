"""The version, and the names that both halves give themselves on the wire.

Both halves import this module, and it imports nothing: it must cost nothing on a cold start.
"""

from __future__ import annotations

__version__ = "0.1.0"

SDK = f"nextmq-python/{__version__}"
"""The `sdk` member of a registration (protocol section 4)."""

SERVER = f"nextmq-server/{__version__}"
"""The `user-agent` of every request that the server sends: deliveries, triggers, alerts."""
