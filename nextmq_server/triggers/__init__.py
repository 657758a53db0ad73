"""Triggers: a configured JSON payload, posted to any URL by a schedule, signed as Standard Webhooks specifies."""
