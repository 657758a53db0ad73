"""Triggers: a configured JSON, posted to any URL by a schedule and signed as Standard Webhooks say."""
