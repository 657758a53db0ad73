"""Deliveries: jobs go out to apps over HTTP, signed, and their answers come back as verdicts."""
